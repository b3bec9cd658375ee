package conf

import "time"

// Route is the role of the server that a listener's clients are connected to.
type Route string

// The routes. RouteSplit is not in this version and refused with that reason.
const (
	RoutePrimary Route = "primary"
	RouteStandby Route = "standby"
	RouteSplit   Route = "split"
)

// Fallback is what a standby listener does without a usable standby.
type Fallback string

// The fallbacks.
const (
	FallbackPrimary Fallback = "primary" // serve from the primary
	FallbackError   Fallback = "error"   // answer with an error
)

// Compression is an algorithm of the compressed protocol.
type Compression string

// The algorithms.
const (
	CompressionOff  Compression = "off"
	CompressionZlib Compression = "zlib"
	CompressionZstd Compression = "zstd" // MySQL 8.0.18 and later
)

// Listener is one address that clients connect to.
type Listener struct {
	// Address is the host:port to listen on; `:6446` means every address of the machine. The customary ports are
	// 6446 for the primary and 6447 for the standby.
	Address string `yaml:"address" required:"true"`
	// Route is the role of the server that clients get: `primary` or `standby`. It follows the role for ever, whichever
	// server has it.
	Route Route `yaml:"route" required:"true" enum:"primary,standby,split"`
	// MaxReplicationLag is how far a standby may be behind to be used. Only for `route: standby`.
	MaxReplicationLag time.Duration `yaml:"max_replication_lag,omitempty" default:"5s" min:"100ms" max:"8760h"`
	// Fallback says what happens while no standby is healthy and within `max_replication_lag`: `primary` serves
	// clients from the primary, `error` answers them with an error. Only for `route: standby`.
	Fallback Fallback `yaml:"fallback,omitempty" default:"primary" enum:"primary,error"`
	// TLS is the encryption between clients and onewriter.
	TLS ListenerTLS `yaml:"tls"`
	// Compression says whether clients may use the compressed protocol: zlib, and zstd for clients of MySQL. Those that
	// do not ask for it are served without. It costs processor time on both ends.
	Compression bool `yaml:"compression" default:"true"`
	// ProxyProtocol is about load balancers before this listener.
	ProxyProtocol ListenerProxyProtocol `yaml:"proxy_protocol"`
	// MaxConnections is how many clients may be connected at once; the next one gets error 1040.
	MaxConnections int `yaml:"max_connections" default:"2000" min:"1" max:"1000000"`
	// MaxUserConnections is how many of them may be of one user; the next one gets error 1203. 0 is no limit.
	MaxUserConnections int `yaml:"max_user_connections" default:"0" min:"0" max:"1000000"`
}
