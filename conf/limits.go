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
	// StallTimeout is how long a client may take nothing of an answer that is on its way, or send nothing of a command that
	// it has begun, before its session ends. A client that goes on reading, however slowly, is not meant. 0 is for ever. The
	// servers have such limits too (net_write_timeout, net_read_timeout).
	StallTimeout time.Duration `yaml:"stall_timeout" default:"10m" min:"0s" max:"24h"`
	// IdleTimeout is how long a session may be without a command before it ends, with error 4031 on MySQL and 1927 on
	// MariaDB; a transaction left open is rolled back. 0 is for ever: the servers have their own limit (wait_timeout), but a
	// session outlives it, because its server connection is made anew.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"0s" min:"0s" max:"8760h"`
	// ClientKeepalive is how long a client's machine may give no sign before its idle connection breaks (TCP keepalive). 0
	// switches that off.
	ClientKeepalive time.Duration `yaml:"client_keepalive" default:"1m" min:"0s" max:"24h"`
	// ClientUserTimeout is how long a client's machine may leave data unacknowledged before its connection breaks
	// (TCP_USER_TIMEOUT). It also breaks the connection of a client that lives but reads nothing for so long. 0 leaves it to
	// the system, which tries for about 15 minutes, and to `stall_timeout`.
	ClientUserTimeout time.Duration `yaml:"client_user_timeout" default:"0s" min:"0s" max:"24h"`
	// ServerKeepalive is how long a server's machine may give no sign before a connection that waits for it breaks. 0
	// switches that off.
	ServerKeepalive time.Duration `yaml:"server_keepalive" default:"1m" min:"0s" max:"24h"`
	// ServerUserTimeout is how long a server's machine may leave data unacknowledged before its connection breaks. It is
	// not in force while a client's file is sent (LOAD DATA LOCAL), when servers wait for locks without reading. 0 leaves it
	// to the system.
	ServerUserTimeout time.Duration `yaml:"server_user_timeout" default:"1m" min:"0s" max:"24h"`
}
