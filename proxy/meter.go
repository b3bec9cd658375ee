package proxy

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/topology"
)

// latencyBounds are the upper bounds of the latency histogram's buckets; what took longer is in one more.
var latencyBounds = [...]time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

// cell counts one command at one server. What a short command touches is on the first two of its three cache lines.
type cell struct {
	nanoseconds atomic.Int64 // of all commands that have an answer
	toServer    atomic.Int64 // bytes
	toClient    atomic.Int64 // bytes
	buckets     [len(latencyBounds) + 1]atomic.Int64
	failed      atomic.Int64 // answered by an ERR packet
	unanswered  atomic.Int64 // commands that have no answer
	_           [8]byte      // to a multiple of a cache line
}

// meter counts the commands at one server. The counts are spread over shards, so that processors seldom write to the
// same cache line, and added up when somebody asks. Nothing is locked and nothing allocated when one is counted.
type meter struct {
	server string
	shards []shard
}

// shard is one part of a meter's counts.
type shard struct {
	cells   []cell       // by commandSlot
	replied atomic.Int64 // when the server answered last, as tallies.now counts; 0: never
	_       [32]byte     // to a cache line
}

// commandSlot is the index of a command's cell. All unknown commands share one.
var commandSlot, slotNames = func() (slots [256]uint8, names []string) {
	unknown := wire.CommandName(0xFF)
	names = []string{unknown}
	for code := range slots {
		if name := wire.CommandName(byte(code)); name != unknown {
			slots[code] = uint8(len(names))
			names = append(names, name)
		}
	}
	return slots, names
}()

// maxShards bounds the memory of a meter: a shard has about 7 KB.
const maxShards = 64

func newMeter(server string) *meter {
	m := &meter{server: server, shards: make([]shard, min(2*runtime.GOMAXPROCS(0), maxShards))}
	for i := range m.shards {
		m.shards[i].cells = make([]cell, len(slotNames))
	}
	return m
}

func newMeters(servers []topology.Instance) map[string]*meter {
	meters := make(map[string]*meter, len(servers))
	for _, s := range servers {
		meters[s.Name] = newMeter(s.Name)
	}
	return meters
}

// shard is the one that the session with this id counts on.
func (m *meter) shard(session uint64) *shard {
	if m == nil {
		return nil
	}
	return &m.shards[session%uint64(len(m.shards))]
}

// answered notes that the server has answered at the moment now. An earlier moment that is noted late does no harm: the
// shard keeps the later one but for a race of two sessions.
func (s *shard) answered(now int64) {
	if s != nil && now > s.replied.Load() {
		s.replied.Store(now)
	}
}

// latest is when the server answered last, as tallies.now counts; 0: never.
func (m *meter) latest() (at int64) {
	for i := range m.shards {
		at = max(at, m.shards[i].replied.Load())
	}
	return at
}

func (c *cell) observe(took time.Duration) {
	i := 0
	for i < len(latencyBounds) && took > latencyBounds[i] {
		i++
	}
	c.buckets[i].Add(1)
	c.nanoseconds.Add(int64(took))
}

// count adds up the cells of one command over all shards.
func (m *meter) count(slot int) (t total) {
	for i := range m.shards {
		c := &m.shards[i].cells[slot]
		t.took += time.Duration(c.nanoseconds.Load())
		t.toServer += c.toServer.Load()
		t.toClient += c.toClient.Load()
		t.failed += c.failed.Load()
		t.unanswered += c.unanswered.Load()
		for i := range c.buckets {
			t.buckets[i] += c.buckets[i].Load()
		}
	}
	return t
}

// total is the sum of the cells of a command.
type total struct {
	took                                   time.Duration
	toServer, toClient, failed, unanswered int64
	buckets                                [len(latencyBounds) + 1]int64
}

// answered is the number of commands that were answered.
func (t *total) answered() (n int64) {
	for _, b := range t.buckets {
		n += b
	}
	return n
}

// flow is what a session notes of the command under way. It belongs to the session's goroutine.
type flow struct {
	began    int64         // when the command was seen, as tallies.now counts
	now      int64         // the latest time known, as tallies.now counts
	held     time.Duration // waited for a server that takes the command
	toServer int32         // bytes not counted yet
	toClient int32         // bytes not counted yet
	shard    *shard        // where the session's server connection is counted; nil before there was one
	meter    *meter        // of that server
}

// flushBytes is how many bytes of a long command are counted at its end at the latest.
const flushBytes = 1 << 20

// start begins to measure a command.
func (f *flow) start(now int64) {
	f.began, f.now, f.held, f.toServer, f.toClient = now, now, 0, 0, 0
}

// up notes n bytes sent to the server.
func (f *flow) up(code byte, n int) {
	if f.toServer += int32(n); f.toServer >= flushBytes {
		f.flush(code)
	}
}

// down notes n bytes sent to the client.
func (f *flow) down(code byte, n int) {
	if f.toClient += int32(n); f.toClient >= flushBytes {
		f.flush(code)
	}
}

// flush counts the bytes noted so far.
func (f *flow) flush(code byte) *cell {
	if f.shard == nil {
		return nil
	}
	c := &f.shard.cells[commandSlot[code]]
	if f.toServer > 0 {
		c.toServer.Add(int64(f.toServer))
	}
	if f.toClient > 0 {
		c.toClient.Add(int64(f.toClient))
	}
	f.toServer, f.toClient = 0, 0
	return c
}

// measure counts a command that came to its end at the server.
func (s *clientSession) measure(code byte) {
	c := s.flow.flush(code)
	switch {
	case c == nil:
	case !wire.HasResponse(code):
		c.unanswered.Add(1)
	default:
		c.observe(time.Duration(s.replied.Load() - s.flow.began))
		if s.core.Failed() {
			c.failed.Add(1)
		}
	}
}

// attachMeter makes the session count on the server called name from now on.
func (s *clientSession) attachMeter(name string) {
	s.flow.meter = s.cluster.meters[name]
	s.flow.shard = s.flow.meter.shard(s.id)
}

// waitForChange is the cluster's, counted as a wait of the command under way, or of the login.
func (s *clientSession) waitForChange(ctx context.Context, deadline time.Time) {
	from := s.cluster.tallies.now()
	s.cluster.waitForChange(ctx, deadline)
	s.waited(from)
}

// waitAtGate waits until the gate is open, counted in the same way. The error is for the client.
func (s *clientSession) waitAtGate(ctx context.Context, limit time.Duration) error {
	from := s.cluster.tallies.now()
	err := s.cluster.gate.Wait(ctx, limit)
	s.waited(from)
	if err == nil {
		return nil
	}
	if cause := s.interrupted(); cause != nil {
		return cause
	}
	if !errors.Is(err, ErrHoldTimeout) {
		return err // the time for a login is over
	}
	return errHeldLong(s.cluster.gate.Reason())
}

// waited notes that the command under way had to wait since the moment from.
func (s *clientSession) waited(from int64) {
	s.flow.now = s.cluster.tallies.now()
	s.flow.held += time.Duration(s.flow.now - from)
}

// noteHold counts what the command under way, or the login, waited for a server.
func (s *clientSession) noteHold() {
	_ = s.waitOver() // where the command did not come so far
	if s.flow.held > 0 {
		s.cluster.metrics.held.Observe(s.flow.held.Seconds())
		s.flow.held = 0
	}
}
