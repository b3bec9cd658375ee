package detect

import (
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Judge says what is the matter with the server called primary, judged by one snapshot. It is pure; the present is the
// time of the snapshot.
//
// A primary that gave any answer is alive, be it an error. One that gave none is not dead for that: a verdict that the
// role may be moved takes the testimony of at least one standby, and no standby that still receives or could.
func Judge(snap *topology.Snapshot, primary string, l Limits) Verdict {
	p, ok := snap.Find(primary)
	switch {
	case !ok && primary == "":
		return plain(Unknown, primary, "No primary is known.")
	case !ok:
		return plain(Unknown, primary, "There is no server "+primary+".")
	case p.Class == topology.ClassUnknown:
		return plain(Unknown, primary, primary+" has not been probed yet.")
	case p.Alive():
		return judgeAlive(snap, p)
	default:
		return newCase(snap, p, l.orDefault()).verdict()
	}
}

// plain is a verdict whose cause is itself.
func plain(k Kind, primary string, evidence ...string) Verdict {
	return Verdict{Kind: k, Cause: k, Primary: primary, Evidence: evidence}
}

// judgeAlive judges a primary that gave an answer.
func judgeAlive(snap *topology.Snapshot, p topology.Observation) Verdict {
	name := p.Instance.Name
	if rivals := writableBeside(snap, p); len(rivals) > 0 {
		return plain(Split, name, splitSentences(p, rivals)...)
	}
	switch p.Class {
	case topology.ClassShutdown:
		return plain(Leaving, name, ownSentence(p, 0))
	case topology.ClassWriteStuck:
		return plain(WriteStuck, name, ownSentence(p, 0))
	case topology.ClassOK, topology.ClassReadOnly, topology.ClassAuth, topology.ClassTooMany, topology.ClassError,
		topology.ClassUnknown, topology.ClassRefused, topology.ClassReset, topology.ClassTimeout:
		return plain(Fine, name, ownSentence(p, 0))
	default:
		return plain(Fine, name, ownSentence(p, 0))
	}
}

// writableBeside finds the servers that were writable while p was. Each was looked at on its own: when the role has
// just been moved, the old primary was last seen writable before the new one was first.
func writableBeside(snap *topology.Snapshot, p topology.Observation) []topology.Observation {
	if !seenWritable(p) {
		return nil
	}
	var out []topology.Observation
	for _, o := range snap.Servers {
		if o.Instance.Name != p.Instance.Name && seenWritable(o) && together(p, o) {
			out = append(out, o)
		}
	}
	return out
}

// seenWritable reports whether the last probe of o showed it writable.
func seenWritable(o topology.Observation) bool { return hasFacts(o) && o.Facts.Writable() }

// together reports whether the times in which a and b were seen writable have a moment in common. A time without a
// known begin is taken to have none.
func together(a, b topology.Observation) bool {
	return !a.WritableSince.After(b.FactsAt) && !b.WritableSince.After(a.FactsAt)
}

// hasFacts reports whether the last probe has brought facts.
func hasFacts(o topology.Observation) bool {
	switch o.Class {
	case topology.ClassOK, topology.ClassWriteStuck, topology.ClassReadOnly:
		return true
	case topology.ClassUnknown, topology.ClassRefused, topology.ClassReset, topology.ClassTimeout, topology.ClassAuth,
		topology.ClassTooMany, topology.ClassShutdown, topology.ClassError:
		return false
	default:
		return false
	}
}

// badCase is what is known of a primary that gives no answer.
type badCase struct {
	primary topology.Observation
	now     time.Time
	limits  Limits
	// began is when the first probe failed; since is the same, or later when a client got an answer after that.
	began, since time.Time
	witnesses    []witness
}

func newCase(snap *topology.Snapshot, p topology.Observation, l Limits) badCase {
	c := badCase{primary: p, now: snap.At, limits: l, began: p.BadSince}
	if c.began.IsZero() {
		c.began = p.At
	}
	if c.since = c.began; p.Replied.After(c.since) {
		c.since = p.Replied
	}
	for _, o := range snap.Servers {
		if o.Instance.Name != p.Instance.Name {
			c.witnesses = append(c.witnesses, c.hear(o))
		}
	}
	return c
}

func (c badCase) verdict() Verdict {
	v := plain(c.kind(), c.primary.Instance.Name, c.evidence()...)
	v.Since = c.began
	if v.Kind != Down && v.Kind != Unreachable {
		return v
	}
	reasons, found := c.obstacles()
	if !found {
		v.Kind = NoCandidate
		v.Evidence = append(v.Evidence, reasons...)
	}
	return v
}

// kind weighs the testimonies. What speaks for life comes first.
func (c badCase) kind() Kind {
	switch {
	case c.count(receiving) > 0:
		return MyLink
	case len(c.witnesses) > 0 && c.count(unreached) == len(c.witnesses) && c.primary.BadProbes >= refusedProbes:
		return Isolated
	case c.count(undecided) > 0:
		return Suspect
	case c.refused() && c.count(refused) > 0:
		return Down
	case c.hangs() && c.count(refused)+c.count(silent) > 0:
		return Unreachable
	default:
		return Suspect
	}
}

func (c badCase) count(t testimony) (n int) {
	for _, w := range c.witnesses {
		if w.says == t {
			n++
		}
	}
	return n
}

// refused reports whether the primary has refused or ended connections for long enough to mean it.
func (c badCase) refused() bool {
	p := c.primary
	return (p.Class == topology.ClassRefused || p.Class == topology.ClassReset) &&
		p.BadProbes >= refusedProbes && p.At.Sub(c.since) >= refusedApart
}

// hangs reports whether the primary has given no sign of life for long enough, whatever the connections met.
func (c badCase) hangs() bool { return c.now.Sub(c.since) >= c.limits.Hang }

// obstacles says why standbys cannot take over, unless one can.
func (c badCase) obstacles() (reasons []string, found bool) {
	for _, w := range c.witnesses {
		if w.obstacle == "" {
			found = true
			continue
		}
		reasons = append(reasons, w.obstacle)
	}
	return reasons, found
}
