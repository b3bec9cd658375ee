// Package proxy accepts clients, logs them in, and relays their commands to the server that the routing table names.
// One thin goroutine per client session drives a session.Core; a gate holds transactions back while the pointer moves.
package proxy
