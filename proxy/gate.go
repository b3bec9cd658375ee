package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrHoldTimeout is the end of a client's patience at the gate.
var ErrHoldTimeout = errors.New("held too long")

// Gate holds back new transactions towards the primary while the pointer moves. Passing an open gate costs one atomic
// load. The zero Gate is open.
type Gate struct {
	holding  atomic.Bool
	throttle atomic.Pointer[throttle] // nil: no transaction is delayed

	mu       sync.Mutex
	reason   string        // guarded by mu
	released chan struct{} // guarded by mu; closed by Resume
	longest  time.Duration // guarded by mu; of the present or last hold
	// waiting is guarded by mu: who waits, and since when
	waiting map[*time.Timer]time.Time

	// left is signalled by Left during a hold
	left chan struct{}
}

// throttle delays each new transaction by delay, or until ended is closed.
type throttle struct {
	delay time.Duration
	ended chan struct{}
}

func (g *Gate) init() { g.left = make(chan struct{}, 1) }

// Hold closes the gate.
func (g *Gate) Hold(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reason = reason
	if g.released == nil {
		g.released = make(chan struct{})
		g.longest = 0
	}
	g.holding.Store(true)
}

// Resume opens the gate and returns the longest wait of one client.
func (g *Gate) Resume() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding.Store(false)
	if g.released != nil {
		close(g.released)
		g.released = nil
	}
	for _, since := range g.waiting {
		g.longest = max(g.longest, time.Since(since))
	}
	return g.longest
}

// Reason is why the gate is or was closed last, for clients.
func (g *Gate) Reason() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

// Holding reports whether the gate is closed.
func (g *Gate) Holding() bool { return g.holding.Load() }

// Waiting is the number of clients that wait at the gate.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Wait returns when the gate is open. Errors: ErrHoldTimeout after limit, or the cause of ctx.
func (g *Gate) Wait(ctx context.Context, limit time.Duration) error {
	g.mu.Lock()
	released := g.released
	if released == nil {
		g.mu.Unlock()
		return nil
	}
	began := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	if g.waiting == nil {
		g.waiting = map[*time.Timer]time.Time{}
	}
	g.waiting[timer] = began
	g.mu.Unlock()

	var err error
	select {
	case <-released:
	case <-timer.C:
		err = ErrHoldTimeout
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	g.mu.Lock()
	delete(g.waiting, timer)
	g.longest = max(g.longest, time.Since(began))
	g.mu.Unlock()
	return err
}

// Opened returns when the gate is open, without counting as a client that waits; or the cause of ctx.
func (g *Gate) Opened(ctx context.Context) error {
	g.mu.Lock()
	released := g.released
	g.mu.Unlock()
	if released == nil {
		return nil
	}
	select {
	case <-released:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Throttle makes Delay last d; 0 ends that, and every delay that is under way.
func (g *Gate) Throttle(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch old := g.throttle.Load(); {
	case d > 0 && old != nil:
		g.throttle.Store(&throttle{delay: d, ended: old.ended})
	case d > 0:
		g.throttle.Store(&throttle{delay: d, ended: make(chan struct{})})
	case old != nil:
		g.throttle.Store(nil)
		close(old.ended)
	}
}

// Delay makes a new transaction wait for the throttle, if there is one.
func (g *Gate) Delay(ctx context.Context) {
	t := g.throttle.Load()
	if t == nil {
		return
	}
	timer := time.NewTimer(t.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ended:
	case <-ctx.Done(): // who is ended notices by itself
	}
}

// Left is called by a session that no longer has anything open which may write, in case someone waits for that.
func (g *Gate) Left() {
	if !g.holding.Load() {
		return
	}
	select {
	case g.left <- struct{}{}:
	default:
	}
}
