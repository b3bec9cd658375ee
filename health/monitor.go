package health

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Monitor watches the servers of one cluster.
type Monitor struct {
	// immutable after New
	cfg     Config
	dbs     []*sql.DB // closed by Run; nil entries in tests with fake probers
	watches []*watch
	beater  *beater
	ended   chan struct{} // closed when Run has ended

	started  atomic.Bool
	snapshot atomic.Pointer[topology.Snapshot]

	mu      sync.Mutex // guards what follows
	state   collector
	readers map[chan *topology.Snapshot]struct{}
}

// New prepares a monitor; it connects to nothing before Run. The error says what in c is wrong.
func New(c Config) (*Monitor, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("health of cluster %s: %w", c.Cluster, err)
	}
	var dbs []*sql.DB
	for _, s := range c.Servers {
		db, err := c.Connect(s)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("health of cluster %s: server %s: %w", c.Cluster, s.Name, err), closeAll(dbs))
		}
		dbs = append(dbs, db)
	}
	probers := make([]prober, len(dbs))
	writers := make([]beatWriter, len(dbs))
	for i, db := range dbs {
		probers[i] = newSQLProber(db, c.Interval)
		writers[i] = &sqlBeatWriter{db: db, writer: c.Writer}
	}
	m := newMonitor(c, probers, writers)
	m.dbs = dbs
	return m, nil
}

// newMonitor joins the parts; c is complete.
func newMonitor(c Config, probers []prober, writers []beatWriter) *Monitor {
	m := &Monitor{cfg: c, ended: make(chan struct{}), readers: map[chan *topology.Snapshot]struct{}{}}
	for i := range c.Servers {
		m.watches = append(m.watches, &watch{m: m, index: i, prober: probers[i], kick: make(chan chan struct{}), hurry: make(chan struct{}, 1)})
	}
	m.beater = &beater{m: m, writers: writers, slot: make(chan struct{}, 1)}
	m.state = newCollector(c)
	m.snapshot.Store(m.state.snapshot())
	return m
}

// Run watches until ctx is done, then closes all connections. It can be called once and returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	if m.started.Swap(true) {
		return errors.New("health: the monitor was started before")
	}
	defer close(m.ended)
	var all sync.WaitGroup
	for _, w := range m.watches {
		all.Go(func() { w.run(ctx) })
	}
	if m.cfg.Heartbeat {
		all.Go(func() { m.beater.run(ctx) })
	}
	all.Wait()
	return closeAll(m.dbs)
}

func closeAll(dbs []*sql.DB) error {
	var errs []error
	for _, db := range dbs {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// Snapshot is the newest snapshot; never nil. Servers that were not probed yet have ClassUnknown.
func (m *Monitor) Snapshot() *topology.Snapshot { return m.snapshot.Load() }

// Subscribe delivers each new snapshot. A reader that is slow misses some but always gets the latest. The channel is
// not closed; cancel ends the delivery.
func (m *Monitor) Subscribe() (snapshots <-chan *topology.Snapshot, cancel func()) {
	c := make(chan *topology.Snapshot, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readers[c] = struct{}{}
	return c, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.readers, c)
	}
}

// ProbeNow probes all servers and returns when the snapshot has an observation of each that began after the call.
// Servers that do not answer are no error. It fails when ctx is done before, or when Run has ended.
func (m *Monitor) ProbeNow(ctx context.Context) error {
	done := make([]chan struct{}, len(m.watches))
	for i, w := range m.watches {
		done[i] = make(chan struct{})
		// In turns would do as well: nobody waits for the probe here, only for the loop to take the wish.
		select {
		case w.kick <- done[i]:
		case <-m.ended:
			return errors.New("health: the monitor has ended")
		case <-ctx.Done():
			return fmt.Errorf("probe server %s: %w", m.cfg.Servers[i].Name, context.Cause(ctx))
		}
	}
	for i, d := range done {
		select {
		case <-d:
		case <-m.ended:
			return errors.New("health: the monitor has ended")
		case <-ctx.Done():
			return fmt.Errorf("probe server %s: %w", m.cfg.Servers[i].Name, context.Cause(ctx))
		}
	}
	return nil
}

// Kick asks for a probe of the server called name as soon as possible, at most every 50 ms. It does not block; a name
// that is not known does nothing.
func (m *Monitor) Kick(name string) {
	for i, s := range m.cfg.Servers {
		if s.Name == name {
			m.watches[i].hasten()
		}
	}
}

// SetPrimary names the server that gets the heartbeat write; the zero Primary means none. When it returns, nobody
// waits for a heartbeat write to another server any more. That takes as long as the write does, at most the timeout
// and half a second; a server whose last probe was not answered is not waited for.
func (m *Monitor) SetPrimary(p topology.Primary) {
	m.beater.setPrimary(p)
	now := time.Now()
	m.update(func(c *collector) { c.setPrimary(p.Instance.Name, now) })
	for _, w := range m.watches {
		w.hasten() // what was seen of it last was seen in another role
	}
}

// Settled is the newest snapshot once every server was probed since the primary was named last, which it waits for; or when ctx
// is done. A server that does not answer counts as probed when its time is over.
func (m *Monitor) Settled(ctx context.Context) *topology.Snapshot {
	m.mu.Lock()
	settled := m.state.settled()
	m.mu.Unlock()
	if !settled {
		_ = m.ProbeNow(ctx) // what there is, is shown then
	}
	return m.Snapshot()
}

// update changes the collected state and publishes it.
func (m *Monitor) update(change func(*collector)) {
	told := m.askDataPath()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range told {
		m.state.heard(t.index, t.replied, t.lost)
	}
	change(&m.state)
	s := m.state.snapshot()
	m.snapshot.Store(s)
	for c := range m.readers {
		select {
		case <-c: // the reader is late: take the older one back
		default:
		}
		c <- s // cannot block: this function is the only sender, and the channel has room for one
	}
}

// passive is what the data path told of a server.
type passive struct {
	index   int
	replied time.Time
	lost    uint64
}

// askDataPath asks the data path about each server.
func (m *Monitor) askDataPath() []passive {
	if m.cfg.DataPath == nil {
		return nil
	}
	out := make([]passive, len(m.cfg.Servers))
	for i, s := range m.cfg.Servers {
		replied, lost := m.cfg.DataPath(s.Name)
		out[i] = passive{i, replied, lost}
	}
	return out
}

// bad is called when the n-th probe of server i in a row found no life: what waits for it stops waiting, and the others
// are asked about it.
func (m *Monitor) bad(i, n int) {
	m.mu.Lock()
	primary := m.state.primaryIndex() == i
	m.mu.Unlock()
	if !primary {
		return
	}
	m.beater.abandon()
	if n > 1 {
		return // they hurry by themselves
	}
	for j, w := range m.watches {
		if j != i {
			w.hasten()
		}
	}
}
