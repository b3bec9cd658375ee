package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/sockopt"
	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/topology"
)

// Config is what a Cluster needs.
type Config struct {
	Name          string
	Servers       []topology.Instance
	Authenticator *auth.Authenticator
	Dialer        *backend.Dialer
	Listeners     []ListenerConfig
	// HoldTimeout is how long a client waits at the gate, or for a primary, before it gets an error. Default 10 s.
	HoldTimeout time.Duration
	// ConnectTimeout bounds dial, login and rebuild at a server. Default 5 s.
	ConnectTimeout time.Duration
	// HandshakeTimeout is how long a client may take to log in. Default 10 s.
	HandshakeTimeout time.Duration
	// Version is what the servers are told of this program in connection attributes; "" is not told.
	Version string
	// Limits bounds what the servers are asked for at once.
	Limits Limits
	// ClientTCP says when clients that vanished are given up.
	ClientTCP sockopt.Options
	// OnLost is told the name of a server when a session's connection to it has broken or could not be made. It is
	// called by the session and must not block; nil means that nobody wants to know.
	OnLost func(server string)
	// ThreadAlive tells whether the server called name has a connection with this id, whoever's it is. A KILL of an id
	// that is ambiguous is refused; nil, or an error, counts as ambiguous.
	ThreadAlive func(ctx context.Context, server string, id uint32) (bool, error)
	Metrics     *Metrics
	// PhaseLabels labels the goroutines of sessions in profiles: phase is login, idle, relay or rebuild.
	PhaseLabels bool
	Logger      zerolog.Logger
}

// ListenerConfig is one address that clients connect to.
type ListenerConfig struct {
	Address string // host:port or :port
	Policy  router.Policy
	// TLS is offered to clients; nil offers none. RequireTLS refuses clients that do not use it.
	TLS        *tls.Config
	RequireTLS bool
	// NoCompression offers no compressed protocol to clients.
	NoCompression bool
	// MaxConnections is the number of sessions above which clients get error 1040. Default 2000.
	MaxConnections int
	// MaxUserConnections is the number of sessions of one user above which its clients get error 1203; 0 is no limit.
	MaxUserConnections int
	// ProxyProtocol is for load balancers before this listener; the zero value takes headers from nobody.
	ProxyProtocol ProxyProtocol
}

func (c *Config) setDefaults() error {
	if c.Name == "" || len(c.Servers) == 0 {
		return errors.New("proxy: a cluster needs a name and a server")
	}
	if c.Authenticator == nil || c.Dialer == nil || c.Metrics == nil {
		return errors.New("proxy: authenticator, dialer and metrics are required")
	}
	setDefault(&c.HoldTimeout, 10*time.Second)
	setDefault(&c.ConnectTimeout, 5*time.Second)
	setDefault(&c.HandshakeTimeout, 10*time.Second)
	c.Limits.setDefaults()
	for i := range c.Listeners {
		setDefault(&c.Listeners[i].ProxyProtocol.Timeout, 2*time.Second)
		if c.Listeners[i].MaxConnections <= 0 {
			c.Listeners[i].MaxConnections = 2000
		}
	}
	return nil
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d <= 0 {
		*d = v
	}
}
