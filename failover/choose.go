package failover

import (
	"fmt"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// choice is the outcome of choose: a candidate that may become primary, or the reasons why none may.
type choice struct {
	To      topology.Instance
	Reasons []string
	// Repoint are the servers that do not follow the candidate yet and have to be pointed at it.
	Repoint []string
	// FilePos is true when the candidate's link goes by file and position.
	FilePos bool
	// SemiSync is true when the source side of semi-synchronous replication has to move with the role.
	SemiSync bool
	// Blockers of the primary, for the dry run.
	Blockers []Blocker
}

// choose checks whether the primary role can be moved from the server called from to the one called to ("" means
// the best standby) and says all reasons against it.
func choose(v view, from, to string, limits Limits, haveReplication bool) choice {
	p, ok := v.find(from)
	if !ok {
		return choice{Reasons: []string{fmt.Sprintf("There is no server %q.", from)}}
	}
	if len(v) == 1 {
		return choice{Reasons: []string{"The cluster has no standby."}}
	}
	if to != "" {
		return chooseNamed(v, p, to, limits, haveReplication)
	}
	var best choice
	var bestLag time.Duration
	var all []string
	for _, s := range v {
		if s.Instance.Name == from {
			continue
		}
		c := chooseNamed(v, p, s.Instance.Name, limits, haveReplication)
		if len(c.Reasons) > 0 {
			all = append(all, c.Reasons...)
			continue
		}
		if !best.To.Known() || s.Lag < bestLag {
			best, bestLag = c, s.Lag
		}
	}
	if best.To.Known() {
		return best
	}
	return choice{Reasons: unique(all)}
}

func chooseNamed(v view, p serverView, to string, limits Limits, haveReplication bool) choice {
	b, ok := v.find(to)
	if !ok {
		return choice{Reasons: []string{fmt.Sprintf("There is no server %q; the servers are %s.", to, strings.Join(v.names(func(serverView) bool { return true }), ", "))}}
	}
	if to == p.Instance.Name {
		return choice{Reasons: []string{fmt.Sprintf("%s is already the primary.", to)}}
	}
	c := choice{To: b.Instance, Blockers: p.Blockers, SemiSync: p.SemiSyncSource}
	c.Reasons = append(primaryReasons(p), candidateReasons(p, b, limits)...)
	if p.ok() && b.ok() {
		if link, ok := b.linkFrom(p); ok {
			c.FilePos = !link.UsesGTID
		}
		c.Repoint = notFollowing(v, b)
		if c.SemiSync && len(c.Repoint) == 0 && b.Acknowledgers == 0 {
			c.Reasons = append(c.Reasons, fmt.Sprintf("%s waits for acknowledgements (semi-sync), but no replica of %s would acknowledge after the switchover: every commit would hang. Switch the replica side on and restart the receiver (IO thread) of %s.",
				p.Instance.Name, to, p.Instance.Name))
		}
		if len(c.Repoint) > 0 && !haveReplication {
			c.Reasons = append(c.Reasons, fmt.Sprintf("%s would have to be pointed at %s after the switchover and no replication account is configured for that: set replication.user and its password.",
				strings.Join(c.Repoint, " and "), to))
		}
	}
	return c
}

// notFollowing lists the servers that have no link from b, in order. In a star a link that does not run is what an
// interrupted operation has left; in a pair it may have been stopped on purpose. Servers that are away are looked after
// when they come back.
func notFollowing(v view, b serverView) []string {
	return v.names(func(s serverView) bool {
		if s.Instance.Name == b.Instance.Name || s.Away != "" {
			return false
		}
		link, follows := s.linkFrom(b)
		return !follows || len(v) > 2 && (link.IO == topology.ThreadNo || link.SQL == topology.ThreadNo)
	})
}

func primaryReasons(p serverView) []string {
	name := p.Instance.Name
	if !p.ok() {
		return []string{p.silent("The primary " + name)}
	}
	var reasons []string
	if !p.writable() {
		reasons = append(reasons, fmt.Sprintf("The primary %s is read_only.", name))
	}
	if p.Facts.Flavor == "mysql" && p.PreparedXA > 0 {
		reasons = append(reasons, fmt.Sprintf("%s has %d prepared XA transactions; MySQL commits those even while super_read_only is set. Finish them first (XA RECOVER lists them).", name, p.PreparedXA))
	}
	return append(reasons, p.DDL...)
}

func candidateReasons(p, b serverView, limits Limits) []string {
	name := b.Instance.Name
	if !b.ok() {
		return []string{b.silent(name)}
	}
	reasons := barred(b)
	if b.writable() {
		reasons = append(reasons, fmt.Sprintf("%s is writable although it is not the primary.", name))
	}
	if p.ok() && b.Facts.ServerID == p.Facts.ServerID {
		return append(reasons, fmt.Sprintf("%s has the server_id %d, as the primary %s: it skips what that wrote.", name, b.Facts.ServerID, p.Instance.Name))
	}
	link, ok := b.linkFrom(p)
	if !ok {
		return append(reasons, fmt.Sprintf("%s does not replicate from the primary %s.", name, p.Instance.Name))
	}
	reasons = append(reasons, linkReasons(name, link)...)
	if link.Delay > 0 {
		reasons = append(reasons, fmt.Sprintf("%s is a delayed replica (%s).", name, link.Delay))
	}
	switch {
	case !link.Running():
	case b.Lag < 0:
		reasons = append(reasons, fmt.Sprintf("The replication lag of %s is not known.", name))
	case b.Lag > limits.MaxLag:
		reasons = append(reasons, fmt.Sprintf("%s lags %s behind, failover.max_lag is %s: wait until it has caught up.", name, b.Lag.Round(100*time.Millisecond), limits.MaxLag))
	}
	return append(reasons, historyReasons(p, b)...)
}

func linkReasons(name string, link topology.Link) []string {
	var reasons []string
	if link.IO != topology.ThreadYes {
		reasons = append(reasons, fmt.Sprintf("The receiver (IO thread) of %s is %s%s.", name, link.IO, withError(link.IOErrno, link.IOError)))
	}
	if link.SQL != topology.ThreadYes {
		reasons = append(reasons, fmt.Sprintf("The applier (SQL thread) of %s is %s%s.", name, link.SQL, withError(link.SQLErrno, link.SQLError)))
	}
	return reasons
}

func withError(errno int, text string) string {
	if errno == 0 && text == "" {
		return ""
	}
	return fmt.Sprintf(", error %d: %s", errno, strings.TrimRight(text, "."))
}

// historyReasons compares what the two servers have by GTID. With file and position alone nothing can be said here;
// the wait and the verification after the fence decide then.
func historyReasons(p, b serverView) []string {
	pos, cand := p.Facts.Position, b.Facts.Position
	if pos.Kind() == gtid.KindFile || cand.Kind() == gtid.KindFile {
		return nil
	}
	switch gtid.Relate(cand, pos) {
	case gtid.Equal, gtid.Behind:
		return nil
	case gtid.RelationUnknown:
		return []string{fmt.Sprintf("The histories of %s and %s cannot be compared.", b.Instance.Name, p.Instance.Name)}
	case gtid.Ahead, gtid.Diverged:
		return []string{fmt.Sprintf("%s has transactions that the primary %s does not have: their histories have diverged (%s: %s; %s: %s).",
			b.Instance.Name, p.Instance.Name, b.Instance.Name, cand, p.Instance.Name, pos)}
	default:
		return []string{"The histories cannot be compared."}
	}
}

// unique drops repeated sentences and keeps the order.
func unique(in []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// barred says why state or policy keep the server from becoming primary.
func barred(b serverView) []string {
	var reasons []string
	if b.Away != "" {
		reasons = append(reasons, b.Away)
	}
	if b.Never {
		reasons = append(reasons, fmt.Sprintf("%s must not become primary (never_primary).", b.Instance.Name))
	}
	return reasons
}

// marked adds to an inspection what durable state and policy say of the servers.
func (s state) marked(v view) view {
	out := v.apart(s.known)
	for i := range out {
		x := &out[i]
		x.Never, x.Priority = s.policy.Never[x.Instance.Name], s.policy.Priority[x.Instance.Name]
		if d, ok := s.awayServer(x.Instance.Name); ok {
			x.Excused = d.Why == "interrupted"
			x.Away = fmt.Sprintf("%s was left behind in epoch %d and is not back yet: see `onewriter rejoin %s --dry-run`.", d.Server, d.Epoch, d.Server)
		}
	}
	return out
}
