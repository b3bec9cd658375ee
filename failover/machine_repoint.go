package failover

import (
	"slices"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/topology"
)

// A server that has to be pointed at a new primary is stored as one that is away together with that primary, before it is
// touched, and taken back when it follows. So nobody stays unattended, whatever interrupts this: what is away is looked after.

// withStrays adds to list the servers that the plan has still to point at the new primary.
func (s state) withStrays(p *plan, list []coord.Departure) []coord.Departure {
	if !slices.Contains(p.steps[p.at:], stepRepoint) {
		return list
	}
	for _, name := range p.op.Repoint {
		if _, already := s.awayServer(name); !already {
			list = append(without(list, name), s.interrupted(p, name))
		}
	}
	return list
}

// repointed takes those back that follow, and goes on without the others: they are away until they were looked after.
func (s state) repointed(in inDone) (state, []action) {
	p := s.plan.note(in.Reasons...)
	saved := s.primary.Instance == p.op.To // otherwise it is stored together with the new primary
	if saved || !p.setAway {
		p.away, p.setAway = s.known.Away, true
	}
	for _, name := range p.op.Repoint {
		was, already := s.awayServer(name)
		switch ours := was.Operation == p.op.ID && was.Why == "interrupted"; {
		case (in.Outcome == outcomeOK || slices.Contains(in.Repointed, name)) && (!already || ours):
			p.away = without(p.away, name)
		case !already:
			p.away = append(without(p.away, name), s.interrupted(p, name))
		}
	}
	if saved && !slices.EqualFunc(p.away, s.known.Away, func(a, b coord.Departure) bool { return a.Server == b.Server }) {
		p.steps = slices.Insert(slices.Clone(p.steps), p.at+1, stepKeep)
	}
	s.plan = p
	return s.advance()
}

// interrupted is the departure of a server that is not to blame for anything, but does not follow the new primary.
func (s state) interrupted(p *plan, name string) coord.Departure {
	d := coord.Departure{
		Server: name, Epoch: p.op.Epoch, At: s.now, Operation: p.op.ID, Why: "interrupted", Fence: "fenced-proved", WindowMS: -1,
		FilePos: p.op.FilePos, SemiSync: p.op.SemiSync,
	}
	if name == p.op.From.Name && !p.op.failover() { // it was equal to the new primary when that was opened
		d.Received, d.Binlog = p.op.Gone.Received, p.op.Gone.Binlog
	}
	return d
}

// placed remembers where both servers stood at the promotion; a failover has found that out before.
func (s state) placed(gone coord.Departure) state {
	s.plan = s.plan.placed(gone)
	return s
}

func (p *plan) placed(gone coord.Departure) *plan {
	if p.op.failover() {
		return p
	}
	q := *p
	q.op.Gone.Received, q.op.Gone.Binlog = gone.Received, gone.Binlog
	return &q
}

// unfollowed lists the servers that an interrupted move of the role to the primary has left without a link to it that was
// started, or may have.
func (s state) unfollowed(primary topology.Instance, v view) []string {
	if s.known.Phase == coord.PhaseSettled || s.known.Target != primary.Name {
		return nil
	}
	p, ok := v.find(primary.Name)
	if !ok {
		return nil
	}
	return v.names(func(o serverView) bool {
		if o.Instance == primary || o.writable() {
			return false
		}
		l, ok := o.linkFrom(p)
		return !o.ok() || !ok || l.IO == topology.ThreadNo && l.SQL == topology.ThreadNo
	})
}
