// Package watchdog keeps a dead man's switch in the database: a lease row that is renewed while the primary is the
// primary, and an event that makes the server read-only by itself when the lease has run out.
package watchdog
