package auth

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/onewriter/onewriter/internal/pause"
)

const (
	limiterBurst   = 20                // failures that cost nothing
	limiterFlood   = 10 * limiterBurst // above it whoever comes from there waits, before anything is checked
	limiterRefill  = time.Second       // one failure is forgiven each
	limiterDelay   = time.Second
	limiterSources = 10_000 // more than that: forgiven ones make room, else any
	limiterSweep   = 64     // sources looked at to make room for one
	limiterPrefix6 = 64     // bits of an IPv6 address that count: a customer has at least such a network
)

// limiter slows down sources whose logins fail often: a token bucket per source. It never refuses, because many
// clients can share one address, and while failures are not a flood it delays nothing but the refusals, so that good
// clients behind the same address notice nothing.
type limiter struct {
	mu      sync.Mutex
	sources map[string]bucket // guarded by mu
}

type bucket struct {
	failures float64 // not yet forgiven, at the time of since
	since    time.Time
}

func newLimiter() *limiter { return &limiter{sources: map[string]bucket{}} }

func (b bucket) at(now time.Time) float64 {
	return max(0, b.failures-float64(now.Sub(b.since))/float64(limiterRefill))
}

// network is what counts as one source: the IPv4 address, or the network of the IPv6 address. What is no address
// counts as it is.
func network(source string) string {
	ip, err := netip.ParseAddr(source)
	if err != nil {
		return source
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(limiterPrefix6)
	if err != nil {
		return source
	}
	return prefix.String()
}

// admit delays a login of source in a flood of failures. The error is the context's.
func (l *limiter) admit(ctx context.Context, source string) error {
	l.mu.Lock()
	over := l.sources[network(source)].at(time.Now()) > limiterFlood
	l.mu.Unlock()
	if !over {
		return nil
	}
	return pause.For(ctx, limiterDelay)
}

// failed counts a failed login of source, and holds back its answer if there were too many. The error is the
// context's.
func (l *limiter) failed(ctx context.Context, source string) error {
	if l.count(network(source)) <= limiterBurst {
		return nil
	}
	return pause.For(ctx, limiterDelay)
}

func (l *limiter) count(source string) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	b, known := l.sources[source]
	if !known && len(l.sources) >= limiterSources {
		l.evict(now)
	}
	b = bucket{failures: min(b.at(now)+1, 2*limiterFlood), since: now}
	l.sources[source] = b
	return b.failures
}

// evict makes room for one source: a forgiven one if some are among those looked at (maps begin anywhere), else any.
// The caller holds mu.
func (l *limiter) evict(now time.Time) {
	looked := 0
	last := ""
	for source, b := range l.sources {
		if b.at(now) == 0 {
			delete(l.sources, source)
		}
		last = source
		if looked++; looked == limiterSweep {
			break
		}
	}
	if len(l.sources) >= limiterSources {
		delete(l.sources, last)
	}
}
