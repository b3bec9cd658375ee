// Package failover decides who the primary is and moves that role from one server to another without losing a
// transaction and without ever having two writers.
//
// The parts, from pure to dirty: decide and choose are functions over one inspection of the servers; step is the
// machine that turns inputs into actions and does no I/O, reads no clock and writes no log, so that its behaviour
// can be read in testdata; the executor carries out one action at a time, each within a deadline and after asking
// the lease again; the controller is the goroutine that joins them and keeps the journal.
package failover
