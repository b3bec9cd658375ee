package auth

import (
	"context"
	"sync"
	"time"
)

const (
	limiterBurst   = 20          // failures that cost nothing
	limiterRefill  = time.Second // one failure is forgiven each
	limiterDelay   = time.Second // a login waits this long once the burst is used up
	limiterSources = 10_000      // more sources than that: the forgiven ones are dropped, then any
)

// limiter slows down the logins of sources that fail often: a token bucket per source, whose emptiness costs a delay
// and never a refusal, because many clients can share one address.
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

// wait delays a login of source when it failed too often. The error is the context's.
func (l *limiter) wait(ctx context.Context, source string) error {
	l.mu.Lock()
	over := l.sources[source].at(time.Now()) > limiterBurst
	l.mu.Unlock()
	if !over {
		return nil
	}
	return sleep(ctx, limiterDelay)
}

// failed counts a failed login of source.
func (l *limiter) failed(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	b, known := l.sources[source]
	if !known && len(l.sources) >= limiterSources {
		l.evict(now)
	}
	l.sources[source] = bucket{failures: min(b.at(now)+1, 2*limiterBurst), since: now}
}

func (l *limiter) evict(now time.Time) {
	for source, b := range l.sources {
		if b.at(now) == 0 {
			delete(l.sources, source)
		}
	}
	for source := range l.sources {
		if len(l.sources) < limiterSources {
			return
		}
		delete(l.sources, source)
	}
}

// sleep waits for d, or for the end of ctx, whose cause it then gives.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
