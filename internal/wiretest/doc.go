// Package wiretest plays the peers of a wire protocol conversation for tests: a scripted server that greets, lets
// everybody in and answers statements by a few rules. It is no database and knows no SQL; what databases do is tested
// against real ones.
package wiretest
