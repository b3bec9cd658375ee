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

// TLSMode says whether connections are encrypted.
type TLSMode string

// The TLS modes. The verifying ones are for connections to servers only.
const (
	TLSOff        TLSMode = "off"         // never
	TLSPreferred  TLSMode = "preferred"   // when the other side can
	TLSRequired   TLSMode = "required"    // always, else the connection is refused
	TLSVerifyCA   TLSMode = "verify-ca"   // always, and the certificate must be signed by a known authority
	TLSVerifyFull TLSMode = "verify-full" // as TLSVerifyCA, and the certificate must name the host
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
	// MaxConnections is how many clients may be connected at once; the next one gets error 1040.
	MaxConnections int `yaml:"max_connections" default:"2000" min:"1" max:"1000000"`
	// MaxUserConnections is how many of them may be of one user; the next one gets error 1203. 0 is no limit.
	MaxUserConnections int `yaml:"max_user_connections" default:"0" min:"0" max:"1000000"`
}

// ListenerTLS is the encryption between clients and a listener.
type ListenerTLS struct {
	// Mode is `off`, `preferred` (clients that ask for TLS get it) or `required` (the others are refused).
	Mode TLSMode `yaml:"mode" default:"preferred" enum:"off,preferred,required"`
	// CertFile is the certificate chain in PEM form. Without one, a self-signed certificate is made at each start, as
	// the database servers do.
	CertFile string `yaml:"cert_file"`
	// KeyFile is the private key of `cert_file` in PEM form.
	KeyFile string `yaml:"key_file"`
}

// ServerTLS is the encryption between onewriter and the servers.
type ServerTLS struct {
	// Mode is `off`, `preferred` (used when the server offers it), `required` (always), `verify-ca` (always, and the
	// certificate must be signed by a known authority) or `verify-full` (as `verify-ca`, and it must name the host).
	Mode TLSMode `yaml:"mode" default:"preferred" enum:"off,preferred,required,verify-ca,verify-full"`
	// CAFile holds the certificates of the authorities to trust, in PEM form. When it is set, certificates are
	// checked against it in every mode but `off`. Without it `verify-ca` and `verify-full` trust the authorities of
	// the operating system.
	CAFile string `yaml:"ca_file"`
}
