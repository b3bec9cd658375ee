package health

import (
	"errors"
	"slices"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// collector holds what is known of all servers and makes snapshots of it. Monitor.mu guards it. It has no clock: all
// times come from outside.
type collector struct {
	cfg     Config
	primary string
	since   time.Time // when the primary was named, or that there is none; what was seen of a server before says nothing about its role
	servers []known
	beats   beatLog
	now     time.Time // the latest moment anything was learned
}

// known is what is known of one server.
type known struct {
	last  topology.Observation // without what the snapshot computes
	skew  time.Duration
	fresh freshness
	lag   time.Duration // negative when unknown

	connectErr error // of the last new connection, while the warm one works

	replied time.Time // when a client last got an answer from it
	lost    uint64    // client connections to it that have broken so far
	lostOK  uint64    // the same when it was last alive

	// Of the heartbeat writes on the primary:
	beatErr    error
	beatFailed time.Time // when the failures began; zero when the last one succeeded

	// lacking: the primary's history, read later, did not have all of this server's.
	lacking bool
}

func newCollector(c Config) collector {
	col := collector{cfg: c, servers: make([]known, len(c.Servers))}
	for i, s := range c.Servers {
		col.servers[i] = known{last: topology.Observation{Instance: s}, lag: -1}
	}
	return col
}

func (c *collector) setPrimary(name string, at time.Time) {
	if name == c.primary {
		return
	}
	c.primary, c.since = name, at
	c.beats.clear()
	for i := range c.servers {
		k := &c.servers[i]
		k.lag, k.beatErr, k.beatFailed, k.lacking = -1, nil, time.Time{}, false
	}
}

func (c *collector) primaryIndex() int {
	return slices.IndexFunc(c.servers, func(k known) bool { return c.primary != "" && k.last.Instance.Name == c.primary })
}

// primaryID is the server id of the primary, 0 when unknown.
func (c *collector) primaryID() uint32 {
	if i := c.primaryIndex(); i >= 0 {
		return c.servers[i].last.Facts.ServerID
	}
	return 0
}

// beatFor says whose heartbeat row to read on server i; 0 for none.
func (c *collector) beatFor(i int) uint32 {
	if !c.cfg.Heartbeat || i == c.primaryIndex() {
		return 0
	}
	return c.primaryID()
}

// observe takes the report of a probe of server i that began at begun.
func (c *collector) observe(i int, begun time.Time, took time.Duration, r report) topology.Observation {
	k := &c.servers[i]
	c.learned(begun.Add(took))
	k.last.At, k.last.Latency = begun, took
	k.last.Class, k.last.Err = Classify(r.err), ""
	if r.err != nil {
		k.last.Err = r.err.Error()
	}
	k.count(begun)
	if r.facts.Version != "" { // even if the heartbeat row could not be read then
		k.last.Facts, k.last.FactsAt, k.last.PositionAt = r.facts, begun, begun
		if !r.positionAt.IsZero() {
			k.last.PositionAt = r.positionAt
		}
		k.skew = r.skew
		k.fresh.see(r.facts.Links, c.primaryID(), begun)
		c.compare(i)
	}
	k.noteWritable(begun, r)
	if r.err != nil {
		k.connectErr = nil // said by the class
	}
	if r.beat != nil {
		k.lag = c.beats.lag(c.cfg.Writer, r.beat, begun, c.primarySkew())
	}
	return c.observation(i)
}

// count counts the probes in a row that did not prove the server alive; the last one began at begun.
func (k *known) count(begun time.Time) {
	switch {
	case k.last.Alive():
		k.last.BadSince, k.last.BadProbes, k.lostOK = time.Time{}, 0, k.lost
		return
	case k.last.BadProbes == 0:
		k.last.BadSince = begun
	}
	k.last.BadProbes++
	k.last.MissedAt = begun
	k.beatErr, k.beatFailed = nil, time.Time{} // what writes met before says nothing about the server when it is back
}

// noteWritable notes since when every answer has shown the server writable.
func (k *known) noteWritable(begun time.Time, r report) {
	switch {
	case r.err != nil || !r.facts.Writable():
		k.last.WritableSince = time.Time{}
	case k.last.WritableSince.IsZero():
		k.last.WritableSince = begun
	}
}

// heard takes what the data path knows of server i.
func (c *collector) heard(i int, replied time.Time, lost uint64) {
	k := &c.servers[i]
	k.replied, k.lost = replied, lost
	c.learned(replied)
}

// pace is how long to wait between two probes of server i: less while a death is to be confirmed. A server that hangs
// is not asked more often, nor is one after some seconds: it would only get more to do.
func (c *collector) pace(i int, now time.Time) time.Duration {
	last := c.servers[i].last
	hurry := false
	switch last.Class {
	case topology.ClassRefused, topology.ClassReset:
		hurry = now.Sub(last.BadSince) < hurryFor
	case topology.ClassTimeout, topology.ClassUnknown:
	case topology.ClassOK, topology.ClassAuth, topology.ClassTooMany, topology.ClassShutdown, topology.ClassWriteStuck,
		topology.ClassError, topology.ClassReadOnly:
		p := c.primaryIndex()
		hurry = p >= 0 && p != i && c.servers[p].last.BadProbes > 0 && now.Sub(c.servers[p].last.BadSince) < hurryFor
	}
	if hurry {
		return min(hurryGap, c.cfg.Interval)
	}
	return c.cfg.Interval
}

func (c *collector) primarySkew() time.Duration {
	if i := c.primaryIndex(); i >= 0 {
		return c.servers[i].skew
	}
	return 0
}

// compare looks whether standbys have what the primary lacks, which only says something when the primary was read
// later than the standby. Therefore it is done when the primary was read.
func (c *collector) compare(read int) {
	if read != c.primaryIndex() {
		return
	}
	p := c.servers[read].last.Facts
	for i := range c.servers {
		s := c.servers[i].last.Facts
		if i == read || !p.GTID || !s.GTID || !s.Position.Known() || s.Position.Kind() != p.Position.Kind() {
			c.servers[i].lacking = false
			continue
		}
		c.servers[i].lacking = !p.Position.Contains(s.Position)
	}
}

// connected takes the outcome of opening a new connection besides the warm one.
func (c *collector) connected(i int, err error) { c.servers[i].connectErr = err }

// wrote takes the outcome of a heartbeat write on server i that began at begun.
func (c *collector) wrote(i int, beat uint64, begun time.Time, err error) {
	k := &c.servers[i]
	c.learned(begun)
	if i != c.primaryIndex() {
		return // it is not the primary any more
	}
	k.beatErr = err
	switch {
	case err == nil:
		k.beatFailed = time.Time{}
		c.beats.add(beat, begun)
	case k.beatFailed.IsZero():
		k.beatFailed = begun
	}
}

func (c *collector) learned(at time.Time) {
	if at.After(c.now) {
		c.now = at
	}
}

// stuckAfter is how long heartbeat writes must fail before the primary counts as stuck.
const stuckAfter = 2 * time.Second

// stuck reports that reads work and writes do not, other than for want of the table or of rights.
func (k *known) stuck(now time.Time) bool {
	if k.last.Class != topology.ClassOK || !k.last.Facts.Writable() || k.beatErr == nil || now.Sub(k.beatFailed) < stuckAfter {
		return false
	}
	if errors.Is(k.beatErr, errReadOnly) {
		return false
	}
	number, ok := errorNumber(k.beatErr)
	return !ok || !noHeartbeatTable(number)
}

// observation makes the observation of server i as the snapshot shows it.
func (c *collector) observation(i int) topology.Observation {
	k := &c.servers[i]
	o := k.last
	if k.stuck(c.now) {
		o.Class, o.Err = topology.ClassWriteStuck, "heartbeat write: "+k.beatErr.Error()
	}
	if o.Class == topology.ClassOK && i == c.primaryIndex() && !o.Facts.Writable() && !o.FactsAt.Before(c.since) {
		o.Class = topology.ClassReadOnly
	}
	if o.BadProbes > 0 {
		o.Lost = int(k.lost - k.lostOK) //nolint:gosec // fewer than fit
	}
	o.Replied = k.replied
	o.ReceiveAge, o.ReceivedAt, o.ReceivedAfter = k.fresh.age(c.now), k.fresh.moved, k.fresh.after
	o.MeasuredLag = -1
	if i != c.primaryIndex() && len(o.Facts.Links) > 0 {
		o.MeasuredLag = k.lag
	}
	o.Problems = c.problems(i, o)
	return o
}

// settled reports whether every server was looked at since the primary was named.
func (c *collector) settled() bool {
	return !slices.ContainsFunc(c.servers, func(k known) bool { return k.last.At.Before(c.since) })
}

func (c *collector) snapshot() *topology.Snapshot {
	s := &topology.Snapshot{Cluster: c.cfg.Cluster, At: c.now, Since: c.since, Servers: make([]topology.Observation, len(c.servers))}
	for i := range c.servers {
		s.Servers[i] = c.observation(i)
	}
	return s
}
