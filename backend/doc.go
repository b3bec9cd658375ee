// Package backend dials servers and logs in to them on behalf of clients.
//
// A login has two steps, because the proxy greets its client with what the server's greeting says: Dialer.Greet reads
// the greeting, Greeted.Login does the rest once the client has told who it is.
package backend
