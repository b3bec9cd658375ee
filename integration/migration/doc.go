// Package migration tests that sessions move as if nothing had happened. It runs random sequences of statements that
// change session state on two connections: one through a proxy that carries it from one real server to another in the
// middle, and one to a server itself. Everything that a client can observe must be the same on both afterwards, or the
// session must have been ended for a reason that is truly there.
//
// A sequence that fails is made as short as it can be and printed with its seed; what it showed becomes a named
// sequence in regressions_test.go.
package migration
