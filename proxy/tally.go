package proxy

import (
	"sync/atomic"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// tallies hold what the sessions learn about the servers by the way: it costs nothing to ask, and it is what clients
// really meet.
type tallies struct {
	start  time.Time
	server map[string]*tally // by name; the map does not change
}

// tally is what was learned about one server.
type tally struct {
	replied atomic.Int64  // the latest answer to sessions that have left the server since
	lost    atomic.Uint64 // connections of sessions that broke
}

func newTallies(servers []topology.Instance) tallies {
	t := tallies{start: time.Now(), server: make(map[string]*tally, len(servers))}
	for _, s := range servers {
		t.server[s.Name] = &tally{}
	}
	return t
}

// now is the time as it is kept: nanoseconds since the start, which no setting of the clock changes; 0 means never. It
// reads one clock, where time.Now reads two.
func (t *tallies) now() int64 { return int64(time.Since(t.start)) }

// keep notes when the server called name answered a session that leaves it now.
func (t tallies) keep(name string, replied int64) {
	s, ok := t.server[name]
	if !ok {
		return
	}
	for old := s.replied.Load(); replied > old; old = s.replied.Load() {
		if s.replied.CompareAndSwap(old, replied) {
			return
		}
	}
}

// LastReply is when a session last got an answer from the server called name, zero when none did, and how many server
// connections of sessions have broken there so far; those that were closed on purpose do not count.
func (c *Cluster) LastReply(name string) (time.Time, uint64) {
	t, ok := c.tallies.server[name]
	if !ok {
		return time.Time{}, 0
	}
	latest := max(t.replied.Load(), c.latestReply(name))
	if latest <= 0 {
		return time.Time{}, t.lost.Load()
	}
	return c.tallies.start.Add(time.Duration(latest)), t.lost.Load()
}

// latestReply asks the sessions that are on the server called name.
func (c *Cluster) latestReply(name string) (latest int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		w := s.where.Load()
		if w == nil || w.instance.Name != name {
			continue
		}
		if r := s.replied.Load(); r > latest && s.where.Load() == w { // else it is another server's
			latest = r
		}
	}
	return latest
}

// answered notes that the server has answered.
func (s *clientSession) answered() {
	s.flow.now = s.cluster.tallies.now()
	s.replied.Store(s.flow.now)
}

// lost notes that the server connection turned out to be broken, unless it was closed on purpose.
func (s *clientSession) lost() {
	w := s.where.Load()
	if w == nil || s.abortion.Load() != nil {
		return
	}
	if t, ok := s.cluster.tallies.server[w.instance.Name]; ok {
		t.lost.Add(1)
	}
	s.cluster.missed(w.instance.Name)
}

// missed tells that the server called name did not serve a session.
func (c *Cluster) missed(name string) {
	if c.config.OnLost != nil {
		c.config.OnLost(name)
	}
}
