package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/admin/api"
)

// Cluster is one cluster as the endpoint sees it. All methods are safe for concurrent use; all but Switchover return
// at once.
type Cluster interface {
	// Name is the name in the URL.
	Name() string
	// Status is the situation now. The endpoint does not change what it gets.
	Status() api.Cluster
	// Sessions lists the client sessions.
	Sessions() []api.Session
	// Switchover moves the primary role and returns when that is over. A refusal is a *RefusedError, a failure that
	// left or put everything as it was is an *AbortedError.
	Switchover(ctx context.Context, req api.SwitchoverRequest) (api.Switchover, error)
}

// Journal is the list of events that the endpoint shows.
type Journal interface {
	// Events returns the kept events with Seq > after, oldest first.
	Events(after uint64) []api.Event
	// Follow calls deliver for every kept event with Seq > after and then for each new one, until ctx is done or
	// deliver returns an error, which it returns.
	Follow(ctx context.Context, after uint64, deliver func(api.Event) error) error
}

// RefusedError says why an operation was not begun. Nothing was changed. The answer is 409.
type RefusedError struct{ Reasons []string }

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
