package failover

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// endless is the semi-sync time-out from which on a server counts as never going on without acknowledgement.
const endless = time.Hour

// margin is added to an estimated window: signs of life and rows are seen up to a probe interval late.
const margin = 250 * time.Millisecond

// loss is what a candidate lacks, as far as it can be known while the old primary is away.
type loss struct {
	AtLeast  uint64
	WindowMS int64 // -1 when unknown
	Seen     string
	Beat     time.Time // when the newest heartbeat row that the candidate has was written; zero when it has none
}

// lossOf compares the last that was seen of the old primary with what the candidate has. AtLeast counts what was seen
// and is not there: a lower bound, because more may have come after the last look. The window is an upper bound: all
// that was committed before the newest heartbeat row which the candidate has is there, and so is, if it has the last position that
// was seen, all that was committed before that look; what is missing was committed between that and the old primary's last
// sign of life.
func (e *executor) lossOf(ctx context.Context, conn *sql.Conn, from, to topology.Instance, facts topology.Facts) loss {
	snap := e.cfg.Monitor.Snapshot()
	old, _ := snap.Find(from.Name)
	out := loss{WindowMS: -1, Seen: old.Facts.Position.String()}
	if n, ok := missing(facts.Position, old.Facts.Position, old.Facts); ok {
		out.AtLeast = n
	} else if old.Facts.Position.Kind() == gtid.KindFile && behindFile(facts.Links, old.Facts.Position) {
		out.AtLeast = 1 // bytes cannot be counted as transactions
	}
	last, ok := newestBeat(ctx, conn, e.idOf(from, facts.Links))
	out.Beat = last
	if !ok && !old.FactsAt.IsZero() && e.knowsReign(ctx, conn, from) {
		last, ok = lastReceived(snap, to)
	}
	if at, all := hasAllOf(facts, old); all && at.After(last) {
		last, ok = at, true
	}
	if ok { // never 0, which is for what is proved
		out.WindowMS = max(0, lastSign(old).Sub(last).Milliseconds()) + margin.Milliseconds()
	}
	return out
}

// missing counts the transactions in want that are not in have; server is who wrote them. Of MariaDB histories that have
// diverged, as by one transaction of the candidate's own, it is a lower bound.
func missing(have, want gtid.Position, server topology.Facts) (uint64, bool) {
	n, ok := gtid.Missing(have, want)
	if server.Flavor == "mariadb" && (!ok || !server.GTIDStrict) {
		return gtid.MissingLoosely(have, want)
	}
	return n, ok
}

// behindFile reports whether no link has applied up to the place seen in the old primary's own binary log.
func behindFile(links []topology.Link, seen gtid.Position) bool {
	for _, l := range links {
		if l.AppliedFile.Contains(seen) {
			return false
		}
	}
	return true
}

// newestBeat is when we wrote the newest heartbeat row of the old primary that the candidate has, on our own clock. A row that
// seems to be of the future is of a clock that says nothing.
func newestBeat(ctx context.Context, conn *sql.Conn, serverID uint32) (time.Time, bool) {
	var beat uint64
	err := conn.QueryRowContext(ctx, fmt.Sprintf("SELECT beat FROM %s.heartbeat WHERE server_id = %d", flavor.Schema, serverID)).Scan(&beat)
	if err != nil {
		return time.Time{}, false
	}
	return flavor.BeatTime(beat)
}

// knowsReign reports whether the candidate has the epoch row of the old primary's reign. Otherwise it has received nothing
// of that, and whatever it received last was older.
func (e *executor) knowsReign(ctx context.Context, conn *sql.Conn, from topology.Instance) bool {
	row, err := newestEpoch(ctx, conn)
	return err == nil && row.Name == from.Name
}

// idOf is the server id of the old primary: as it said itself, or as the candidate's link knows it.
func (e *executor) idOf(from topology.Instance, links []topology.Link) uint32 {
	if id := e.servers[from.Name].serverID(); id != 0 {
		return id
	}
	if l, ok := linkTo(links, from, e.servers[from.Name]); ok {
		return l.SourceServerID
	}
	return 0
}

// hasAllOf is the moment at which the old primary's position was read last, if the candidate has all that was committed there
// until then.
func hasAllOf(facts topology.Facts, old topology.Observation) (time.Time, bool) {
	seen := old.Facts.Position
	switch {
	case old.PositionAt.IsZero() || !seen.Known():
		return time.Time{}, false
	case seen.Kind() == gtid.KindFile:
		return old.PositionAt, !behindFile(facts.Links, seen)
	default:
		return old.PositionAt, facts.Position.Contains(seen)
	}
}

// lastReceived is a moment after which the candidate has certainly received something: weaker than a heartbeat row, because
// what it received may have been old. When it was first seen to have it says nothing, it may have come long before.
func lastReceived(snap *topology.Snapshot, to topology.Instance) (time.Time, bool) {
	o, ok := snap.Find(to.Name)
	return o.ReceivedAfter, ok && !o.ReceivedAfter.IsZero()
}

// lastSign is the latest moment at which the old primary may have acknowledged something to a client of ours.
func lastSign(o topology.Observation) time.Time {
	last := o.BadSince
	if o.Replied.After(last) {
		last = o.Replied
	}
	if last.IsZero() {
		last = time.Now()
	}
	return last
}

// semiSyncWas is what was last seen of the semi-sync settings of the server, zero when nothing.
func (e *executor) semiSyncWas(i topology.Instance) flavor.SemiSync {
	if e.semi.server != i.Name {
		return flavor.SemiSync{}
	}
	return e.semi.settings
}

// exactBySemiSync reports whether every acknowledged transaction is certainly on the candidate: the old primary waited
// for acknowledgements without end, before it showed a commit to anybody, and the candidate was the only one that gave
// them. That says nothing about what was committed before, when it may not have waited: beat, the newest heartbeat row that
// the candidate has, must have been written since.
func (e *executor) exactBySemiSync(a actRun, beat time.Time) bool {
	return a.Op.SemiSync && e.semi.server == a.Op.From.Name && e.semi.onStandby() && !beat.IsZero() && beat.After(e.semi.since)
}

// waits reports whether a server with these settings never acknowledges a commit alone.
func waits(s flavor.SemiSync) bool {
	return s.Source && s.Active && s.AfterSync && s.WaitsAlone && s.Timeout >= endless
}

// peeked is what is remembered of a primary for the time after its death.
type peeked struct {
	server   string
	settings flavor.SemiSync
	standby  flavor.SemiSync // of the only standby; zero when there are more, or when it did not answer
	since    time.Time       // when onStandby was seen first, without a break since
}

// onStandby reports whether nothing was acknowledged but what the only standby has.
func (p peeked) onStandby() bool {
	return waits(p.settings) && p.settings.Clients == 1 && p.standby.Acknowledges
}

// peek reads the primary's semi-sync settings, and those of its only standby where the primary waits for it.
func (e *executor) peek(ctx context.Context, a actRun) (err error) {
	conn, d, err := e.servers[a.Op.To.Name].conn(ctx)
	if err != nil {
		return err
	}
	settings, err := d.SemiSync(ctx, conn)
	if err != nil {
		_ = conn.Close() // the first error is the one that counts
		return fmt.Errorf("read the semi-sync settings of %s: %w", a.Op.To.Name, err)
	}
	now := peeked{server: a.Op.To.Name, settings: settings, since: e.semi.since}
	if waits(settings) && len(e.cfg.Servers) == 2 {
		now.standby = e.peekStandby(ctx, a.Op.To)
	}
	if e.semi.server != now.server || !e.semi.onStandby() {
		now.since = time.Now()
	}
	e.semi = now
	return conn.Close()
}

// peekStandby reads the semi-sync settings of the other one of two servers; zero when it does not answer.
func (e *executor) peekStandby(ctx context.Context, primary topology.Instance) flavor.SemiSync {
	for _, i := range e.cfg.Servers {
		if i == primary {
			continue
		}
		conn, d, err := e.servers[i.Name].conn(ctx)
		if err != nil {
			return flavor.SemiSync{}
		}
		defer func() { _ = conn.Close() }() // back to the pool
		if s, err := d.SemiSync(ctx, conn); err == nil {
			return s
		}
	}
	return flavor.SemiSync{}
}
