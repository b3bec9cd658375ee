package failover

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// gateway is a DataPath for tests: real clients ask it for the primary before each transaction and tell it when the
// transaction is over. It is what the proxy does, without the wire.
type gateway struct {
	mu        sync.Mutex
	changed   *sync.Cond
	primary   topology.Primary
	held      bool
	delay     time.Duration
	throttled time.Duration // the longest delay that was ever asked for
	next      uint64
	open      map[uint64]context.CancelCauseFunc
	waiting   int
	published []topology.Primary
	dbs       map[string]*sql.DB
	holds     int
}

var _ DataPath = (*gateway)(nil)

func newGateway(dbs map[string]*sql.DB) *gateway {
	g := &gateway{open: map[uint64]context.CancelCauseFunc{}, dbs: dbs}
	g.changed = sync.NewCond(&g.mu)
	return g
}

func (g *gateway) Throttle(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay, g.throttled = d, max(g.throttled, d)
}

func (g *gateway) Hold(string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
	g.holds++
}

func (g *gateway) Drain(ctx context.Context) int {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.changed.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.open) > 0 && ctx.Err() == nil {
		g.changed.Wait()
	}
	return len(g.open)
}

func (g *gateway) CloseOpen(cause error) []topology.ClosedSession {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []topology.ClosedSession
	for id, cancel := range g.open {
		cancel(cause)
		delete(g.open, id)
		out = append(out, topology.ClosedSession{ID: id, Reason: cause.Error()})
	}
	return out
}

func (g *gateway) Cutoff(_ string, cause error) []topology.ClosedSession { return g.CloseOpen(cause) }

func (g *gateway) Publish(p topology.Primary) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.Epoch < g.primary.Epoch && p.Epoch > 0 { // as the routing table does; 0 is the next process
		return
	}
	g.primary = p
	g.published = append(g.published, p)
	g.changed.Broadcast()
}

func (g *gateway) Resume() MoveReport {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = false
	g.changed.Broadcast()
	return MoveReport{Moved: g.waiting}
}

func (g *gateway) Pinned() []topology.ClosedSession { return nil }

func (g *gateway) SessionsOn(name string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.primary.Instance.Name == name {
		return len(g.open)
	}
	return 0
}

func (g *gateway) isHeld() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// use runs one transaction against the primary of the moment; it waits while clients are held.
func (g *gateway) use(ctx context.Context, work func(ctx context.Context, db *sql.DB, p topology.Primary) error) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.changed.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	if d := g.delay; d > 0 {
		g.mu.Unlock()
		time.Sleep(d)
		g.mu.Lock()
	}
	g.waiting++
	for (g.held || !g.primary.Instance.Known()) && ctx.Err() == nil {
		g.changed.Wait()
	}
	g.waiting--
	if ctx.Err() != nil {
		g.mu.Unlock()
		return ctx.Err()
	}
	own, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g.next++
	id, p := g.next, g.primary
	g.open[id] = cancel
	g.mu.Unlock()

	err := work(own, g.dbs[p.Instance.Name], p)
	if cause := context.Cause(own); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, id)
	g.changed.Broadcast()
	return err
}
