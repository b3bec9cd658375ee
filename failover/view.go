package failover

import (
	"fmt"
	"strings"
	"time"

	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// epochRow is the newest row of onewriter.epoch on a server: who was made primary last, as far as this server has
// replicated it. Epoch 0 means that there is no row or no table.
type epochRow struct {
	Epoch    topology.Epoch
	Name     string
	ServerID uint32
}

// serverView is what one inspection, on a connection of our own, found out about one server.
type serverView struct {
	Instance topology.Instance
	Err      string // why it could not be inspected, in words; "" when it could
	Denied   error  // the *SetupError behind Err when the control account lacks a right; nil otherwise
	Turned   bool   // it could not be inspected because it turned the control account away: it is alive
	Twin     string // the other name under which this server was reached, see findTwins; "" for none
	Facts    topology.Facts
	Binlog   gtid.Position // file and offset of its own binary log
	Logs     []binlog.Log  // the files of its binary log, oldest first, where its position is one of them; nil otherwise
	Row      epochRow
	// PreparedXA counts prepared XA transactions; -1 when they could not be listed.
	PreparedXA int
	// SemiSyncSource is whether the source side of semi-synchronous replication is on.
	SemiSyncSource bool
	// SemiSyncReplica is whether it acknowledges as a replica. Filled by assess.
	SemiSyncReplica bool
	// Acknowledgers counts the replicas of this server that would acknowledge; filled before a switchover only.
	Acknowledgers int
	// Blockers and DDL are filled for the primary before a switchover only.
	Blockers []Blocker
	DDL      []string // sentences about running schema changes and global locks
	RTT      time.Duration
	// Away, Never and Priority are what durable state and policy say of the server; Away says why it must not serve.
	Away     string
	Excused  bool // it is away only because an operation was interrupted: it may take over
	Never    bool
	Priority int
	// AtLeast and WindowMS are what would be lost if it took over now, as far as it can be told before its backlog is
	// applied; see coord.Departure. Drained is whether it has applied all that it has received. Filled by assess.
	AtLeast  uint64
	WindowMS int64
	Drained  bool
	// Lag is the larger of the reported and the measured lag; negative when unknown.
	Lag time.Duration
}

func (v serverView) ok() bool       { return v.Err == "" }
func (v serverView) writable() bool { return v.ok() && v.Facts.Writable() }

// closed reports whether both flags were seen set as far as the flavour has them; a half-set pair is not closed.
func (v serverView) closed() bool { return v.ok() && v.Facts.ReadOnly }

// halfClosed reports whether read_only alone closes the server, although its flavour has super_read_only: accounts with
// SUPER can still write there.
func (v serverView) halfClosed() bool {
	return v.closed() && v.Facts.Flavor == "mysql" && !v.Facts.SuperReadOnly
}

// linkFrom finds the replication link by which v receives from source.
func (v serverView) linkFrom(source serverView) (topology.Link, bool) {
	for _, l := range v.Facts.Links {
		if l.SourceServerID != 0 && l.SourceServerID == source.Facts.ServerID {
			return l, true
		}
	}
	for _, l := range v.Facts.Links {
		if l.SourceServerID == 0 && l.Source == source.Instance.Address {
			return l, true
		}
	}
	return topology.Link{}, false
}

// view is one inspection of all servers, in the order of the configuration.
type view []serverView

func (v view) find(name string) (serverView, bool) {
	for _, s := range v {
		if s.Instance.Name == name {
			return s, true
		}
	}
	return serverView{}, false
}

// names lists the servers for which keep is true.
func (v view) names(keep func(serverView) bool) []string {
	var out []string
	for _, s := range v {
		if keep(s) {
			out = append(out, s.Instance.Name)
		}
	}
	return out
}

// newestRow is the highest epoch row of all servers.
func (v view) newestRow() epochRow {
	var best epochRow
	for _, s := range v {
		if s.ok() && s.Row.Epoch > best.Epoch {
			best = s.Row
		}
	}
	return best
}

// silent is the sentence about a server that could not be inspected; name is what it calls the server.
func (v serverView) silent(name string) string {
	if v.Twin != "" {
		return fmt.Sprintf("%s cannot be told apart: %s.", name, v.Err)
	}
	if v.Turned {
		return fmt.Sprintf("%s does not let the control account in: %s.", name, v.Err)
	}
	return fmt.Sprintf("%s does not answer: %s.", name, v.Err)
}

// unreachable says of each server that could not be inspected why, as sentences.
func (v view) unreachable() []string {
	var out []string
	for _, s := range v {
		if !s.ok() {
			out = append(out, s.silent(fmt.Sprintf("%s (%s)", s.Instance.Name, s.Instance.Address)))
		}
	}
	return out
}

// nobody says in one sentence that no server could be inspected, and what to do where that is known.
func (v view) nobody() string {
	if len(v.twins()) > 0 {
		return "No server of the cluster can be relied on."
	}
	turned := v.names(func(s serverView) bool { return s.Turned })
	if len(turned) == 0 {
		return "No server of the cluster answers."
	}
	return fmt.Sprintf("No server of the cluster can be asked, and the control account was turned away by %s: check control.user and control.password "+
		"in the configuration, and the account on the servers (`onewriter setup --print` shows how it is made).", strings.Join(turned, " and "))
}

// contains reports whether everything in o's history is certainly in k's. Where histories have GTIDs that is exact.
// With file and position it is read off the links: k follows o and has applied all of o's binary log, or o only
// follows k and is not further than k's binary log.
func contains(k, o serverView) bool {
	switch gtid.Relate(k.Facts.Position, o.Facts.Position) {
	case gtid.Equal, gtid.Ahead:
		if k.Facts.Position.Kind() != gtid.KindFile {
			return true
		}
	case gtid.Behind, gtid.Diverged:
		if k.Facts.Position.Kind() != gtid.KindFile {
			return false
		}
	case gtid.RelationUnknown:
	}
	if o.Row.Epoch > k.Row.Epoch {
		return false // o has been primary, or has followed one, that k has not heard of
	}
	if lostEnd(k, o) {
		return false
	}
	if link, ok := k.linkFrom(o); ok {
		return link.AppliedFile.Known() && link.AppliedFile.Equal(o.Binlog)
	}
	link, ok := o.linkFrom(k)
	if !ok || !link.AppliedFile.Known() || !k.Binlog.Known() {
		return false
	}
	r := gtid.Relate(link.AppliedFile, k.Binlog)
	return r == gtid.Equal || r == gtid.Behind
}

// lostEnd reports whether o has received more of a file of k's binary log than k itself has: a crash took the end of it, as it may
// without sync_binlog=1. The last file is being written, and a server begins a new one when it starts.
func lostEnd(k, o serverView) bool {
	l, ok := o.linkFrom(k)
	if !ok || len(k.Logs) == 0 {
		return false
	}
	for _, at := range []gtid.Position{l.ReceivedFile, l.AppliedFile} {
		file, offset, _ := at.File()
		for _, log := range k.Logs[:len(k.Logs)-1] {
			if log.Name == file && log.Size < offset {
				return true
			}
		}
	}
	return false
}

// sight is what the monitor's last probe says about one server: enough to notice that something has changed, never
// enough to act on.
type sight struct {
	Name     string
	OK       bool
	Why      string // class and error when it is not OK
	Writable bool
	HalfSet  bool      // super_read_only without read_only: somebody's fence is pending
	At       time.Time // when the probe began
	// Missed is when it gave no answer last; zero when it always did.
	Missed time.Time
	// GaveUp is whether the receiver from the primary has ended by itself because it could not get through, and the
	// applier runs; Stopped whether one of the two threads does not run, without an error of the applier.
	GaveUp, Stopped bool
	// Replicates is whether a link runs on it; CaughtUp that it is not noticeably behind, too.
	Replicates bool
	CaughtUp   bool
}

// signature condenses sights so that the same situation is inspected once and not with every probe.
func signature(sights []sight) string {
	var b strings.Builder
	for _, s := range sights {
		switch {
		case !s.OK:
			fmt.Fprintf(&b, "%s:down ", s.Name)
		case s.HalfSet:
			fmt.Fprintf(&b, "%s:half ", s.Name)
		case s.Writable:
			fmt.Fprintf(&b, "%s:rw ", s.Name)
		default:
			fmt.Fprintf(&b, "%s:ro ", s.Name)
		}
	}
	return strings.TrimSpace(b.String())
}

// sightsOf reads the sights off a snapshot.
func sightsOf(snap *topology.Snapshot, primary string) []sight {
	if snap == nil {
		return nil
	}
	source, _ := snap.Find(primary)
	out := make([]sight, 0, len(snap.Servers))
	for _, o := range snap.Servers {
		s := sight{Name: o.Instance.Name, OK: answers(o.Class), At: o.At, Missed: o.MissedAt}
		if !s.OK {
			s.Why = strings.TrimSpace(o.Class.String() + " " + o.Err)
		} else {
			s.Writable = o.Facts.Writable()
			s.HalfSet = o.Facts.SuperReadOnly && !o.Facts.ReadOnly
			s.Replicates, s.CaughtUp = follows(o)
			s.GaveUp, s.Stopped = idle(o, source)
		}
		out = append(out, s)
	}
	return out
}

// idle judges o's link from the primary; see sight.
func idle(o, primary topology.Observation) (gaveUp, stopped bool) {
	l, ok := detect.LinkFrom(o, primary)
	if !ok || l.SQLErrno != 0 {
		return false, false
	}
	return l.SQL == topology.ThreadYes && detect.GaveUp(l), l.IO == topology.ThreadNo || l.SQL == topology.ThreadNo
}

// answers reports whether a probe of this class has brought facts that are fresh. A stuck write probe does.
func answers(c topology.Class) bool {
	switch c {
	case topology.ClassOK, topology.ClassWriteStuck, topology.ClassReadOnly:
		return true
	case topology.ClassUnknown, topology.ClassRefused, topology.ClassReset, topology.ClassTimeout, topology.ClassAuth,
		topology.ClassTooMany, topology.ClassShutdown, topology.ClassError:
		return false
	default:
		return false
	}
}

// caughtUpLag is the lag up to which a server counts as having caught up. Servers print whole seconds, and under load a
// healthy one is a second or two behind; what must be exact waits for positions.
const caughtUpLag = 3 * time.Second

// follows reports whether a link of the server runs, and whether it is not noticeably behind.
func follows(o topology.Observation) (runs, caughtUp bool) {
	for _, l := range o.Facts.Links {
		if l.Running() {
			runs = true
			caughtUp = caughtUp || l.LagKnown && l.Lag <= caughtUpLag
		}
	}
	return runs, caughtUp && o.MeasuredLag <= caughtUpLag
}
