// Package local is the coordination of a proxy that decides alone (coordination.mode standalone): a lease that is
// always held, and a state file that is replaced atomically and fsynced, directory included. An advisory lock on a
// file beside it keeps a second process off the same cluster.
package local
