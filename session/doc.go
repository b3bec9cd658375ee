// Package session knows what one client session looks like and speaks the command phase of the protocol for it,
// without doing any I/O: Core is fed with the bytes of the client and of the server and answers with the bytes to
// forward and with what its driver has to do next (dial, log in, hold, close). What it learns on the way (schema,
// variables, transaction, prepared statements) is enough to rebuild the session on another server; what cannot be
// rebuilt is a Pin, with a reason.
package session
