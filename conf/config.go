package conf

import "time"

// Config is the whole configuration of one process.
type Config struct {
	// Clusters are the groups of database servers this process serves. They share nothing but the process.
	Clusters []Cluster `yaml:"clusters" required:"true"`
	// Admin is the HTTP endpoint for the API, the metrics and the health checks.
	Admin Admin `yaml:"admin"`
	// Log says what is logged and how. Log lines go to standard error.
	Log Log `yaml:"log"`
	// StateDir is the directory that keeps the epoch, the primary and the journal across restarts. It must survive
	// a restart of the machine or container. When it is not set, /var/lib/onewriter is taken if that directory
	// exists and can be written to, else onewriter-state in the working directory.
	StateDir string `yaml:"state_dir"`
	// Shutdown says how the process ends on SIGTERM.
	Shutdown Shutdown `yaml:"shutdown"`

	// Warnings are findings that do not keep the configuration from being used.
	Warnings []Problem `yaml:"-"`
}

// Cluster is one primary with its standbys. A cluster of one server is legal; it has no standby yet.
type Cluster struct {
	// Name is what the API, the metrics, the logs and the state file call the cluster. Letters, digits, dots,
	// dashes and underscores, at most 64.
	Name string `yaml:"name" required:"true"`
	// Servers are the database servers. Of equally good standbys the first one becomes the primary.
	Servers []Server `yaml:"servers" required:"true"`
	// Listeners are the addresses clients connect to.
	Listeners []Listener `yaml:"listeners" required:"true"`
	// Control is the account onewriter itself uses on every server: probes, fencing, replication control and
	// reading the password hashes clients are checked against.
	Control Control `yaml:"control" required:"true"`
	// Replication is the account standbys replicate with. It is needed only where a switchover must point servers
	// at the new primary because they do not replicate from each other already.
	Replication Replication `yaml:"replication"`
	// Users are accounts whose password is written here, for those whose authentication plugin cannot be used from
	// what the server tells (for example ed25519). All other accounts need no entry: their passwords are checked by
	// the servers themselves.
	Users []User `yaml:"users"`
	// RSAKeyFile is a private RSA key in PEM form, for clients that were given the public key of it in a file and encrypt
	// their password with that (`caching_sha2_password` and `sha256_password` without TLS): that of the servers,
	// `private_key.pem` in their data directory. Without it onewriter makes a key at start, for which clients may ask. It is read at start only.
	RSAKeyFile string `yaml:"rsa_key_file"`
	// ServerTLS says how onewriter encrypts its connections to the servers.
	ServerTLS ServerTLS `yaml:"server_tls"`
	// ServerCompression is how connections to the servers are compressed: `off`, `zlib`, or `zstd` (MySQL 8.0.18 and
	// later). Servers that do not offer it are spoken to without. It pays over slow or metered links only: it costs
	// processor time here and on the server. What clients use makes no difference.
	ServerCompression Compression `yaml:"server_compression" default:"off" enum:"off,zlib,zstd"`
	// ServerProxyProtocol tells the servers where clients come from, by a header of the PROXY protocol: `off`, `v1` (a
	// line of text) or `v2`. Accounts of a host (`app@'10.1.%'`), the process list and the logs of the servers then see
	// the client's address instead of onewriter's. MariaDB only, and its `proxy_protocol_networks` must contain the address
	// of onewriter.
	ServerProxyProtocol ProxyProtocolVersion `yaml:"server_proxy_protocol" default:"off" enum:"off,v1,v2"`
	// Limits bounds what clients wait for, and what the servers are asked for at once.
	Limits Limits `yaml:"limits"`
	// Health says how the servers are probed.
	Health Health `yaml:"health"`
	// Detection says how long the signs of a failure must last.
	Detection Detection `yaml:"detection"`
	// Failover says what may move the primary role, and bounds everything that waits while it moves.
	Failover Failover `yaml:"failover"`
	// Fencing says what else, besides setting it read-only, may keep a lost primary from being written to.
	Fencing Fencing `yaml:"fencing"`
	// Doctor says when the servers are examined for what would go wrong in a failover.
	Doctor Doctor `yaml:"doctor"`
	// Coordination says how several onewriter processes agree on who decides.
	Coordination Coordination `yaml:"coordination"`
}

// Server is one database server of a cluster.
type Server struct {
	// Name is what the API, the metrics, the logs and the state file call the server. Letters, digits, dots, dashes
	// and underscores, at most 64. Do not give the name of a server to another one later: the state file knows the
	// primary by it.
	Name string `yaml:"name" required:"true"`
	// Address is the server's host:port as seen from this process.
	Address string `yaml:"address" required:"true"`
	// Priority prefers this server, as new primary, to equally good ones with a lower number. What a server has received
	// and applied counts more.
	Priority int `yaml:"priority" default:"0" min:"-1000" max:"1000"`
	// NeverPrimary keeps this server from ever being chosen as primary, for example because it is small or far away.
	NeverPrimary bool `yaml:"never_primary" default:"false"`
	// MaxConnections is how many connections of sessions this server gets at most; sessions beyond it wait. 0 is no
	// limit. Onewriter's own connections (probes, control) do not count: leave room for about ten below the server's
	// max_connections.
	MaxConnections int `yaml:"max_connections" default:"0" min:"0" max:"1000000"`
}

// Control is the account onewriter uses for itself.
type Control struct {
	// User is the account's name. `onewriter setup --print` shows the grants it needs.
	User string `yaml:"user" required:"true"`
	// Password is the account's password.
	Password Secret `yaml:"password"`
	// PasswordFile is a file with the password; a newline at its end is ignored. Set this or `password`.
	PasswordFile string `yaml:"password_file"`
}

// Replication is the account that replication links are made with.
type Replication struct {
	// User is the account's name; empty means that onewriter never creates a replication link.
	User string `yaml:"user"`
	// Password is the account's password.
	Password Secret `yaml:"password"`
	// PasswordFile is a file with the password; a newline at its end is ignored. Set this or `password`.
	PasswordFile string `yaml:"password_file"`
}

// User is one account with its password.
type User struct {
	// Name is the account's user name, without a host part.
	Name string `yaml:"name" required:"true"`
	// Password is the account's password.
	Password Secret `yaml:"password"`
	// PasswordFile is a file with the password; a newline at its end is ignored. Set this or `password`.
	PasswordFile string `yaml:"password_file"`
}

// Coordination says how deciders agree.
type Coordination struct {
	// Mode is `standalone`: this process is the only one that decides for its clusters, and remembers the epoch and
	// the primary in its state directory. Never run two standalone processes for one cluster.
	Mode string `yaml:"mode" default:"standalone" enum:"standalone"`
}

// Admin is the HTTP endpoint.
type Admin struct {
	// Address is the host:port to listen on. Without a token only loopback addresses are allowed. Empty switches
	// the endpoint off.
	Address string `yaml:"address" default:"127.0.0.1:8989"`
	// Token is the secret that requests must carry as `Authorization: Bearer ...`. Health checks need none.
	Token Secret `yaml:"token"`
	// TokenFile is a file with the token; a newline at its end is ignored. Set this or `token`.
	TokenFile string `yaml:"token_file"`
	// Pprof serves profiles of the process for developers under `/debug/pprof/`, and labels what is measured by the phase
	// that its session is in. A profile shows no statements and no secrets; taking one costs CPU time.
	Pprof bool `yaml:"pprof" default:"false"`
}

// Log says what is logged.
type Log struct {
	// Level is the least important level that is logged.
	Level string `yaml:"level" default:"info" enum:"trace,debug,info,warn,error"`
	// Format is `json` for machines (one object per line) or `console` for people.
	Format string `yaml:"format" default:"json" enum:"json,console"`
}

// Shutdown says how the process ends.
type Shutdown struct {
	// Grace is how long open transactions may take to finish after SIGTERM before their sessions are closed. New
	// clients are refused from the signal on.
	Grace time.Duration `yaml:"grace" default:"10s" min:"0s" max:"1h"`
}
