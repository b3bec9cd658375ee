// Package fence closes a server for writes for certain, and opens one only against the proof that the other is
// closed. It is a package of its own so that nobody else can make a Proof: promoting a server that was not
// preceded by a fence does not compile.
package fence
