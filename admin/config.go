package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/admin/api"
)

// Cluster is one cluster as the endpoint sees it. All methods are safe for concurrent use; those that take a context may
// last, all others return at once, and Status in a fraction of a second.
type Cluster interface {
	// Name is the name in the URL.
	Name() string
	// Status is the situation now. The endpoint does not change what it gets.
	Status() api.Cluster
	// Sessions lists the client sessions.
	Sessions() []api.Session
	// Kill ends the session with this number and tells what it was; ErrNoSession when there is none.
	Kill(ctx context.Context, session uint64) (api.Session, error)
	Operator
	Patient
}

// Operator moves the primary role. Its methods return when the operation is over. A refusal is a *RefusedError, a failure
// that left or put everything as it was is an *AbortedError.
type Operator interface {
	// Switchover moves the primary role by plan.
	Switchover(ctx context.Context, req api.SwitchoverRequest) (api.Switchover, error)
	// Failover moves it without the old primary.
	Failover(ctx context.Context, req api.FailoverRequest) (api.Failover, error)
	// Rejoin brings a server back that was left behind.
	Rejoin(ctx context.Context, server string, req api.RejoinRequest) (api.Rejoin, error)
}

// Patient can be examined for what would go wrong in a failover.
type Patient interface {
	// Findings is the last examination.
	Findings() api.Doctor
	// Examine makes one now.
	Examine(ctx context.Context) api.Doctor
	// SelfTest proves replication by a row.
	SelfTest(ctx context.Context) api.SelfTest
}

// Journal is the list of events that the endpoint shows.
type Journal interface {
	// Events returns the events in memory with Seq > after, oldest first.
	Events(after uint64) []api.Event
	// Follow calls deliver for every event in memory with Seq > after and then for each new one, until ctx is done or
	// deliver returns an error, which it returns.
	Follow(ctx context.Context, after uint64, deliver func(api.Event) error) error
	// History returns the newest events that pass f, oldest first, also those on disk. With an error, what could be read
	// is returned as well.
	History(f HistoryFilter) ([]api.Event, error)
	// Report is all that is known of one operation; "last" is the latest one that was begun and was no dry run. The error is
	// ErrNoOperation, or says what could not be read.
	Report(cluster, operation string) (api.Report, error)
}

// HistoryFilter says which events are wanted; zero fields let everything pass.
type HistoryFilter struct {
	Cluster, Operation string
	Kinds              []string
	After              uint64
	From, Until        time.Time
	Limit              int
}

// ErrNoSession says that there is no session with the number asked for. The answer is 404.
var ErrNoSession = errors.New("there is no such session")

// RefusedError says why an operation was not begun. Nothing was changed. The answer is 409.
type RefusedError struct {
	Reasons []string
	// Rejoin is what was found out about the server, when the return of one was refused after it had been judged.
	Rejoin *api.Rejoin
}

// Error joins the reasons.
func (e *RefusedError) Error() string { return "refused: " + strings.Join(e.Reasons, "; ") }

// AbortedError says why an operation was given up. The answer is 503.
type AbortedError struct {
	ID         string
	Phase      string
	Reasons    []string
	Unresolved bool // true while it is not certain that the old primary serves again
}

// Error joins the reasons.
func (e *AbortedError) Error() string {
	return "aborted in step " + e.Phase + ": " + strings.Join(e.Reasons, "; ")
}

// Config is all that a Server needs.
type Config struct {
	// Address is the host:port to listen on. Without a Token it must be a loopback address. Port 0 takes a free one.
	Address string
	// Token is what requests must carry as bearer token; "" means that none is needed.
	Token string
	// Clusters are the clusters of this process, in the order of the configuration.
	Clusters []Cluster
	// Journal may be nil: then there are no events.
	Journal Journal
	// Registry holds the metrics of the whole process; the server adds its own to it. Required.
	Registry *prometheus.Registry
	// Pprof serves profiles of the process under /debug/pprof/, guarded like the API.
	Pprof bool
	// Version is shown in onewriter_build_info.
	Version string
	// Logger gets one line per mutation and per listener error.
	Logger zerolog.Logger
}

func (c Config) validate() error {
	var errs []error
	host, _, err := net.SplitHostPort(c.Address)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("address %q is not host:port", c.Address))
	case c.Token == "" && !loopback(host):
		errs = append(errs, fmt.Errorf("address %s can be reached from other machines and there is no token", c.Address))
	}
	if c.Registry == nil {
		errs = append(errs, errors.New("there is no metrics registry"))
	}
	seen := map[string]bool{}
	for _, cl := range c.Clusters {
		if seen[cl.Name()] {
			errs = append(errs, fmt.Errorf("two clusters are called %q", cl.Name()))
		}
		seen[cl.Name()] = true
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("admin endpoint: %w", err)
	}
	return nil
}

// loopback reports whether host is a name or address that only this machine can reach.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
