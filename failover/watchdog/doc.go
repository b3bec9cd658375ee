// Package watchdog keeps a dead man's switch in the database: a lease row that is renewed while the primary is the
// primary, and an event that makes the server read-only by itself when the lease has run out.
//
// The row and the event are replicated; neither does anything elsewhere. The row names the server it is for, so it
// means nothing on a standby, and the epoch it was taken in, so that the lease of an earlier reign is void when the
// server is promoted again. The event is replicated as disabled, and the renewer enables it on the server that is the
// primary.
package watchdog
