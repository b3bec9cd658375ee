package conf

import "time"

// Limits bounds what clients wait for, and what the servers are asked for at once.
type Limits struct {
	// HandshakeTimeout is how long a client may take to log in.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout" default:"10s" min:"100ms" max:"10m"`
	// HoldTimeout is how long a command waits while a switchover moves the primary role or while there is no server
	// to send it to, before it gets an error.
	HoldTimeout time.Duration `yaml:"hold_timeout" default:"10s" min:"100ms" max:"10m"`
	// ConnectTimeout is how long it may take to connect to a server, to log in there and to restore the session.
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"5s" min:"100ms" max:"10m"`
	// MaxLogins is how many sessions may log in at each server at a time, to begin or because they are carried over to
	// another server. The others wait in the order in which they came, so that a storm of connections does not
	// overwhelm the server.
	MaxLogins int `yaml:"max_logins" default:"64" min:"1" max:"100000"`
	// MaxPendingLogins is how many connections to each server may be open for clients that have not logged in yet.
	// Clients beyond it are connected to the server when they log in, and the connection id in their handshake (from
	// 1073741824 on) is not the server's. Of a server with `max_connections` at most a quarter is used this way.
	MaxPendingLogins int `yaml:"max_pending_logins" default:"32" min:"1" max:"100000"`
	// QueueLength is how many clients may wait for a connection to each server; the next one gets error 1040. Sessions
	// that are carried over to another server always wait.
	QueueLength int `yaml:"queue_length" default:"2000" min:"1" max:"1000000"`
	// QueueTimeout is how long a client that logs in waits for a connection to a server before it gets error 1040.
	QueueTimeout time.Duration `yaml:"queue_timeout" default:"5s" min:"100ms" max:"10m"`
}
