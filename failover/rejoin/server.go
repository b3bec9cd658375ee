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
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// lookEvery is how often a server is looked at while something is awaited.
const lookEvery = 20 * time.Millisecond

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

// await looks again and again until done says so. Its error ends the wait, unless it only says that ctx has ended: then,
// as when nothing happens in time, the error says what was waited for.
func await(ctx context.Context, what string, done func() (bool, error)) error {
	for {
		ok, err := done()
		if err == nil && ok {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err := pause.For(ctx, lookEvery); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}
