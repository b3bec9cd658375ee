// Package health finds out what is true: one probe loop per server with its own connection and its own deadlines, and
// one immutable topology.Snapshot of all of them. It decides nothing.
//
// A TCP connection proves nothing: a stopped server accepts for a minute, and a firewall refuses like a dead host.
// Every probe is therefore a query with a deadline, and every observation carries the age of the last thing that the
// standby received, which freezes at once when its source hangs, while "both threads Yes" stays for a minute.
package health
