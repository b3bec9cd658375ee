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
	lost atomic.Uint64 // connections of sessions that broke
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

// LastReply is when a session last got an answer from the server called name, zero when none did, and how many server
// connections of sessions have broken there so far; those that were closed on purpose do not count.
func (c *Cluster) LastReply(name string) (time.Time, uint64) {
	t, ok := c.tallies.server[name]
	if !ok {
		return time.Time{}, 0
	}
	latest := c.meters[name].latest() // it is asked for with each probe: asking thousands of sessions took 1.6 % of a core
	if latest <= 0 {
		return time.Time{}, t.lost.Load()
	}
	return c.tallies.start.Add(time.Duration(latest)), t.lost.Load()
}

// answered notes that the server has answered.
func (s *clientSession) answered() {
	s.flow.now = s.cluster.tallies.now()
	s.replied.Store(s.flow.now)
	s.flow.shard.answered(s.flow.now)
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
