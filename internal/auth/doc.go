// Package auth does both sides of a login: towards the client it runs the exchange of the account's plugin with a salt
// of its own and learns a Secret, towards a server it answers with that Secret. The server judges every login; this
// package never lets anybody in by itself.
//
// What it knows comes from the servers' own account tables (UserTable) and from what clients prove (Cache). It is kept
// in memory only, sealed with a key of this process.
package auth
