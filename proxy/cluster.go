package proxy

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/topology"
)

// Cluster is the data path of one cluster: its listeners, its sessions and the gate before its primary. The control
// path steers it by the methods in datapath.go.
type Cluster struct {
	config    Config
	listeners []*Listener
	metrics   *Metrics
	log       zerolog.Logger
	table     router.Table
	gate      Gate
	ctx       context.Context // of all sessions; ends when they must
	stopNow   context.CancelCauseFunc
	stopping  atomic.Bool
	nextID    atomic.Uint64
	quotas    map[string]*serverQuotas // by server name; the map does not change
	wg        sync.WaitGroup           // sessions
	leave     chan struct{}            // idle sessions are to look at the table
	warm      chan struct{}            // connections are to be made ahead
	tallies   tallies
	meters    map[string]*meter // by server name; the map does not change
	ids       identities

	mu        sync.Mutex
	sessions  map[uint64]*clientSession  // guarded by mu
	abilities map[string]wire.Capability // guarded by mu; by server name, from its last greeting
	greetings map[string]wire.Greeting   // guarded by mu; the last one by server name
}

// NewCluster makes the data path of one cluster and binds its listeners, so that a taken port is an error at once.
// Run serves them.
func NewCluster(c Config) (*Cluster, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	cl := &Cluster{
		config: c, metrics: c.Metrics, log: c.Logger,
		sessions: map[uint64]*clientSession{}, abilities: map[string]wire.Capability{}, tallies: newTallies(c.Servers),
		meters:    newMeters(c.Servers),
		greetings: map[string]wire.Greeting{}, quotas: newServerQuotas(c.Servers, c.Limits),
		ids: identities{known: map[identity]*clientSession{}},
	}
	cl.leave, cl.warm = make(chan struct{}, 1), make(chan struct{}, 1)
	cl.gate.init()
	cl.ctx, cl.stopNow = context.WithCancelCause(context.Background())
	cl.metrics.plane.cluster.Store(cl)
	cl.metrics.quotas.cluster.Store(cl)
	for _, lc := range c.Listeners {
		listen := net.ListenConfig{KeepAlive: -1} // admit sets what is configured: four system calls for each client less
		ln, err := listen.Listen(cl.ctx, "tcp", lc.Address)
		if err != nil {
			cl.closeListeners()
			return nil, fmt.Errorf("listening on %s: %w", lc.Address, err)
		}
		cl.listeners = append(cl.listeners, &Listener{config: lc, policy: lc.Policy, cluster: cl, ln: ln, users: userCounts{limit: lc.MaxUserConnections}})
	}
	return cl, nil
}

func (c *Cluster) closeListeners() {
	for _, l := range c.listeners {
		_ = l.ln.Close()
	}
}

// Listeners gives the bound listeners in the order of the configuration.
func (c *Cluster) Listeners() []*Listener { return c.listeners }

// Run accepts clients until ctx is done. Then no new ones are accepted, idle sessions end, and open transactions have
// grace to finish before they are cut off. It returns when the last session has ended.
func (c *Cluster) Run(ctx context.Context, grace time.Duration) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.survey(gctx) })
	g.Go(func() error { c.usher(gctx); return nil })
	g.Go(func() error { c.warmer(gctx); return nil })
	g.Go(func() error { c.watchLeft(gctx); return nil })
	if c.config.Limits.IdleTimeout > 0 {
		g.Go(func() error { c.sweep(gctx); return nil })
	}
	for _, l := range c.listeners {
		g.Go(func() error { return l.accept(gctx) })
	}
	g.Go(func() error {
		<-gctx.Done()
		c.closeListeners()
		return nil
	})
	err := g.Wait()
	c.shutdown(grace)
	return err
}

func (c *Cluster) shutdown(grace time.Duration) {
	c.stopping.Store(true)
	done := make(chan struct{})
	go func() {
		c.wg.Wait()
		close(done)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	c.nudgeAll()
	for {
		select {
		case <-done:
			c.stopNow(errShutdown())
			return
		case <-ticker.C:
			c.nudgeAll() // those whose transaction has ended meanwhile
		case <-timer.C:
			c.stopNow(errShutdown())
			c.each(func(s *clientSession) { s.abort(errShutdown()); _ = s.clientTC.Close() })
			<-done
			return
		}
	}
}

func (c *Cluster) nudgeAll() { c.each((*clientSession).nudge) }

// each calls fn for every session, without holding the lock.
func (c *Cluster) each(fn func(*clientSession)) {
	c.mu.Lock()
	list := make([]*clientSession, 0, len(c.sessions))
	for _, s := range c.sessions {
		list = append(list, s)
	}
	c.mu.Unlock()
	for _, s := range list {
		fn(s)
	}
}

// start runs a session for an accepted connection.
func (c *Cluster) start(l *Listener, conn net.Conn) {
	s := &clientSession{
		id: c.nextID.Add(1), listener: l, cluster: c, since: time.Now(), clientTC: conn,
	}
	s.origin.Store(originOf(conn))
	c.mu.Lock()
	c.sessions[s.id] = s
	c.wg.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.wg.Done()
		defer l.sessions.Add(-1)
		defer c.forget(s)
		defer c.contain(s)
		s.run()
	}()
}

// contain keeps a fault in one session from ending all of them: the session's connections are closed, and the fault is
// logged with its stack.
func (c *Cluster) contain(s *clientSession) {
	fault := recover()
	if fault == nil {
		return
	}
	s.watch(0)
	c.log.Error().Uint64("session", s.id).Interface("fault", fault).Bytes("stack", debug.Stack()).Msg("session failed")
	c.metrics.faults.Inc()
	if w := s.where.Swap(nil); w != nil {
		_ = w.conn.Close()
	}
	s.berth.leave()
	s.uncountUser()
	s.activity.Store(idle)
	c.gate.Left()
	_ = s.clientTC.Close()
}

func (c *Cluster) forget(s *clientSession) {
	c.ids.release(s)
	c.mu.Lock()
	delete(c.sessions, s.id)
	c.mu.Unlock()
}

// surveyPause is how long survey waits before it asks servers again that did not answer.
const surveyPause = 2 * time.Second

// survey learns what each server can do, so that clients are offered only what all of them can.
func (c *Cluster) survey(ctx context.Context) error {
	for {
		missing := false
		for _, i := range c.config.Servers {
			if _, ok := c.ability(i.Name); ok {
				continue
			}
			g, err := c.greet(ctx, i)
			if err != nil {
				missing = true
				continue
			}
			if err := c.config.Dialer.Check(g.Greeting); err != nil {
				c.log.Error().Str("server", i.Name).Err(err).Msg("no client can log in at this server")
			}
			g.Release()
		}
		if !missing {
			return nil
		}
		if pause.For(ctx, surveyPause) != nil {
			return nil
		}
	}
}

func (c *Cluster) ability(name string) (wire.Capability, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.abilities[name]
	return a, ok
}

// greet dials a server, for a new client, and notes what its greeting says.
func (c *Cluster) greet(ctx context.Context, i topology.Instance) (*backend.Greeted, error) {
	g, err := c.config.Dialer.Dial(ctx, i.Address)
	if err != nil {
		return nil, err
	}
	c.noteGreeting(i, g)
	return g, nil
}

func (c *Cluster) noteGreeting(i topology.Instance, g *backend.Greeted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abilities[i.Name] = g.Greeting.Capabilities
	c.greetings[i.Name] = g.Greeting
}

// offerable is what a client can be offered whose session may live on any server seen so far.
func (c *Cluster) offerable() wire.Capability {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]wire.Capability, 0, len(c.abilities))
	for _, a := range c.abilities {
		list = append(list, a)
	}
	return wire.Offerable(list...)
}

// connect logs a session in at another server.
func (c *Cluster) connect(ctx context.Context, i topology.Instance, p backend.LoginParams) (*backend.Conn, []byte, error) {
	g, err := c.config.Dialer.Greet(ctx, i.Address)
	if err != nil {
		return nil, nil, err
	}
	c.noteGreeting(i, g)
	return g.Login(ctx, p)
}

// retryPause is how long a session waits before it tries a server again that it could not reach.
const retryPause = 100 * time.Millisecond

// waitForChange returns when the pointer moved, after a short pause, at the deadline, or when ctx is done.
func (c *Cluster) waitForChange(ctx context.Context, deadline time.Time) {
	timer := time.NewTimer(min(retryPause, time.Until(deadline)))
	defer timer.Stop()
	select {
	case <-c.table.Changed():
	case <-timer.C:
	case <-ctx.Done():
	}
}
