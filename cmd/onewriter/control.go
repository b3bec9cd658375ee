package main

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/topology"
)

// controlDialTimeout bounds one connection attempt of the control account; statements have their own deadlines.
const controlDialTimeout = 2 * time.Second

// instances lists the servers of c in the words of the other packages.
func instances(c conf.Cluster) []topology.Instance {
	out := make([]topology.Instance, len(c.Servers))
	for i, s := range c.Servers {
		out[i] = topology.Instance{Name: s.Name, Address: s.Address}
	}
	return out
}

// serverTLSMode carries the configured mode over to package backend.
func serverTLSMode(m conf.TLSMode) backend.TLSMode {
	switch m {
	case conf.TLSOff:
		return backend.TLSDisabled
	case conf.TLSRequired:
		return backend.TLSRequired
	case conf.TLSVerifyCA:
		return backend.TLSVerifyCA
	case conf.TLSVerifyFull:
		return backend.TLSVerifyFull
	case conf.TLSPreferred:
		return backend.TLSPreferred
	default:
		return backend.TLSPreferred
	}
}

// controlConnect returns a function that opens handles for the control account of c. Opening does not reach the
// server yet.
func controlConnect(c conf.Cluster) (func(topology.Instance) (*sql.DB, error), error) {
	var roots *x509.CertPool
	if c.ServerTLS.CAFile != "" {
		var err error
		if roots, err = backend.LoadCA(c.ServerTLS.CAFile); err != nil {
			return nil, err
		}
	}
	return func(i topology.Instance) (*sql.DB, error) {
		cfg := mysql.NewConfig()
		cfg.User, cfg.Passwd = c.Control.User, c.Control.Password.Reveal()
		cfg.Net, cfg.Addr = "tcp", i.Address
		cfg.Timeout = controlDialTimeout
		cfg.InterpolateParams = true
		cfg.ConnectionAttributes = "program_name:onewriter"
		cfg.Logger = &mysql.NopLogger{}
		if c.ServerTLS.Mode != conf.TLSOff {
			cfg.TLS = controlTLS(i.Address, c.ServerTLS.Mode, roots)
			cfg.AllowFallbackToPlaintext = c.ServerTLS.Mode == conf.TLSPreferred
		}
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			return nil, fmt.Errorf("control account for %s: %w", i.Name, err)
		}
		return sql.OpenDB(connector), nil
	}, nil
}

// binlogSource tells how to read the binary log of a server with the control account. What is only preferred is not asked
// for: a server without TLS would refuse.
func binlogSource(c conf.Cluster) (func(i topology.Instance, flavor string) binlog.Source, error) {
	roots, err := loadCA(c.ServerTLS.CAFile)
	if err != nil {
		return nil, err
	}
	return func(i topology.Instance, flavor string) binlog.Source {
		s := binlog.Source{Address: i.Address, User: c.Control.User, Password: c.Control.Password.Reveal(), Flavor: flavor}
		if c.ServerTLS.Mode != conf.TLSOff && c.ServerTLS.Mode != conf.TLSPreferred {
			s.TLS = controlTLS(i.Address, c.ServerTLS.Mode, roots)
		}
		return s
	}, nil
}

// controlTLS verifies as package backend does for client connections: nothing, the chain, or chain and host name.
func controlTLS(address string, mode conf.TLSMode, roots *x509.CertPool) *tls.Config {
	return backend.Config{TLS: serverTLSMode(mode), CA: roots}.ClientTLS(address)
}
