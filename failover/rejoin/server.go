package rejoin

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// Server is one server as this package works on it.
type Server struct {
	Instance topology.Instance
	DB       *sql.DB // as the control account
	Dialect  flavor.Dialect
	// Binlog is how the server's binary log is read; its account is the control account.
	Binlog      binlog.Source
	ControlUser string
}

// Account is the replication account. The zero value leaves the account of existing links as it is; new links cannot be
// made then.
type Account struct {
	User, Password string
	TLS            bool
}

// known reports whether a new link can be made with a.
func (a Account) known() bool { return a.User != "" }

// observe reads what the server tells of itself.
func (s Server) observe(ctx context.Context) (topology.Facts, error) {
	facts, err := s.Dialect.Observe(ctx, s.DB)
	if err != nil {
		return topology.Facts{}, fmt.Errorf("observe %s: %w", s.Instance.Name, err)
	}
	return facts, nil
}

// fencing is the server as package fence wants it.
func (s Server) fencing() fence.Server {
	return fence.Server{Name: s.Instance.Name, DB: s.DB, Dialect: s.Dialect, ControlUser: s.ControlUser}
}

// hostPort takes the address apart.
func (s Server) hostPort() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(s.Instance.Address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("address of %s: %w", s.Instance.Name, err)
	}
	return host, port, nil
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
