package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/health"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/guard"
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

// controlConnect returns a function that opens handles for the control account of c. Opening does not reach the
// server yet.
func controlConnect(c conf.Cluster, protect backend.Config) func(topology.Instance) (*sql.DB, error) {
	return func(i topology.Instance) (*sql.DB, error) {
		cfg := mysql.NewConfig()
		cfg.User, cfg.Passwd = c.Control.User, c.Control.Password.Reveal()
		cfg.Net, cfg.Addr = "tcp", i.Address
		cfg.Timeout = controlDialTimeout
		cfg.InterpolateParams = true
		cfg.Params = flavor.Settings()
		cfg.ConnectionAttributes = "program_name:onewriter"
		cfg.Logger = &mysql.NopLogger{}
		cfg.TLS = protect.ClientTLS(i.Address)
		cfg.AllowFallbackToPlaintext = !protect.DemandsTLS(i.Address)
		connector, err := guard.NewConnector(cfg)
		if err != nil {
			return nil, fmt.Errorf("control account for %s: %w", i.Name, err)
		}
		return sql.OpenDB(explained{connector}), nil
	}
}

// explained says in our words what a user can do about a server without TLS, or one that turns the control account away.
type explained struct{ driver.Connector }

// Connect implements driver.Connector.
func (e explained) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := e.Connector.Connect(ctx)
	switch {
	case errors.Is(err, mysql.ErrNoTLS):
		return nil, backend.ErrNoTLS
	case turnedAway(err):
		return nil, fmt.Errorf("%w (check control.user and control.password)", err)
	default:
		return conn, err
	}
}

// turnedAway reports whether a server has refused a login because of who wanted to log in.
func turnedAway(err error) bool { return err != nil && health.Classify(err) == topology.ClassAuth }

// encryptsLinks reports whether replication links that onewriter makes use TLS: where its own connections to all servers must.
func encryptsLinks(protect backend.Config, servers []topology.Instance) bool {
	return !slices.ContainsFunc(servers, func(i topology.Instance) bool { return !protect.DemandsTLS(i.Address) })
}

// binlogSource tells how to read the binary log of a server with the control account. What is only preferred is not asked
// for: a server without TLS would refuse.
func binlogSource(c conf.Cluster, protect backend.Config) func(i topology.Instance, flavor string) binlog.Source {
	return func(i topology.Instance, flavor string) binlog.Source {
		s := binlog.Source{Address: i.Address, User: c.Control.User, Password: c.Control.Password.Reveal(), Flavor: flavor}
		if protect.DemandsTLS(i.Address) {
			s.TLS = protect.ClientTLS(i.Address)
		}
		return s
	}
}
