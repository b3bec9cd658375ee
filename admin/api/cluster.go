package api

import "time"

// Cluster is the answer to GET /api/v1/clusters/{c}.
type Cluster struct {
	Name string `json:"name"`
	// State is starting, running, switching, split, no_primary or degraded.
	State string `json:"state"`
	// Epoch numbers the reigns of primaries; 0 means that none was ever known.
	Epoch uint64 `json:"epoch"`
	// Primary is the name of the server that is written to, "" when nobody may be written to.
	Primary string `json:"primary"`
	// Reasons say in whole sentences why the state is not running.
	Reasons []string `json:"reasons"`
	// Since is when the state was entered; null when unknown.
	Since *time.Time `json:"since"`
	// Operation is the switchover, failover or rejoin in progress, null when there is none.
	Operation *Operation `json:"operation"`
	// Verdict is what is the matter with the primary.
	Verdict Verdict `json:"verdict"`
	// Mode is automatic, manual or off: who moves the role when the primary has failed.
	Mode string `json:"mode"`
	// Blocked are the reasons why no automatic failover would happen now; empty in other modes.
	Blocked []string `json:"blocked"`
	// Away are the servers that were left behind.
	Away      []AwayServer   `json:"away"`
	Servers   []Server       `json:"servers"`
	Listeners []Listener     `json:"listeners"`
	Sessions  SessionSummary `json:"sessions"`
}

// Clusters is the answer to GET /api/v1/clusters.
type Clusters struct {
	Clusters []Cluster `json:"clusters"`
}

// Server is one database server as the last probe saw it.
type Server struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Role is primary, standby or unknown.
	Role string `json:"role"`
	// Healthy is true when the last probe answered, and, for a standby, replication runs.
	Healthy bool `json:"healthy"`
	// ReadOnly is true when ordinary accounts cannot write.
	ReadOnly bool `json:"read_only"`
	// LagSeconds is how far a standby is behind; null for the primary and when unknown.
	LagSeconds *float64 `json:"lag_seconds"`
	// Position is everything the server has, in its own notation.
	Position string `json:"position"`
	// Problems are findings in whole sentences.
	Problems []string `json:"problems"`
	// Probe is the class of the last probe: ok, refused, reset, timeout, auth, ...
	Probe string `json:"probe"`
	// Version is the server's version, "" when unknown.
	Version string `json:"version"`
	// Sessions counts the client sessions that have a connection to this server.
	Sessions int `json:"sessions"`
}

// Operation is a switchover, failover or rejoin in progress.
type Operation struct {
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
	Step string `json:"step"`
}

// Listener is one address that clients connect to.
type Listener struct {
	Address  string `json:"address"`
	Route    string `json:"route"`
	Sessions int    `json:"sessions"`
}

// SessionSummary counts the client sessions of a cluster.
type SessionSummary struct {
	Total         int `json:"total"`
	InTransaction int `json:"in_transaction"`
	Pinned        int `json:"pinned"`
	// Held are the sessions that wait for a primary.
	Held int `json:"held"`
}

// Sessions is the answer to GET /api/v1/clusters/{c}/sessions.
type Sessions struct {
	Sessions []Session `json:"sessions"`
}

// Session is one client session.
type Session struct {
	// ID is the number of the session in this process, never used again.
	ID uint64 `json:"id"`
	// HandshakeID is the connection id that the client was told in its handshake: what it can be killed by. 0 before that.
	HandshakeID uint32 `json:"handshake_id"`
	User        string `json:"user"`
	Client      string `json:"client"` // host:port
	// Listener is the address the client connected to.
	Listener string `json:"listener"`
	// Target is the name of the server the session has a connection to, "" when it has none now.
	Target string `json:"target"`
	// ConnectionID is the id of that connection in the server's process list, 0 when there is none.
	ConnectionID uint32 `json:"connection_id"`
	// InTransaction is true while a transaction or a statement that may write is open.
	InTransaction bool `json:"in_transaction"`
	// Pins say what keeps the session from moving to another server; empty when it can move.
	Pins []string `json:"pins"`
	// Since is when the client connected.
	Since time.Time `json:"since"`
	// Commands counts the commands of the session so far.
	Commands uint64 `json:"commands"`
}
