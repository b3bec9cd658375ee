package failover

import (
	"slices"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/topology"
)

// saving is the state that the current step makes durable.
func (s state) saving() coord.State {
	p := s.plan
	out := s.resting()
	if p.setAway {
		out.Away = p.away
	}
	if p.semiSync != nil {
		out.SemiSync = *p.semiSync
	}
	switch p.step() {
	case stepMark:
		out.Phase, out.Target = coord.PhaseSwitching, p.op.To.Name
	case stepKeep:
		switch {
		case p.kind == planAbandon:
			out.Epoch = p.op.Epoch
		case p.kind == planFailover && s.primary.Instance != p.op.To:
			out.Phase, out.Target = coord.PhaseFailingOver, p.op.To.Name
		case p.kind == planClose && !slices.Contains(p.op.Others, s.known.Target): // what became of the target is not known by that
			out.Phase, out.Target = s.known.Phase, s.known.Target
		}
	case stepNote:
		out.Phase, out.Target = coord.PhaseFailingOver, p.op.To.Name
	case stepSave:
		out.Epoch, out.Primary = p.op.Epoch, p.op.To
		out.Away = outdated(s.withStrays(p, without(out.Away, p.op.To.Name)), p.op.Epoch)
		if p.kind == planFailover {
			out.Failovers = s.recentFailovers()
		}
	default:
	}
	if out.Phase == coord.PhaseSettled {
		out.Away = without(out.Away, out.Primary.Name)
	}
	return out
}

// resting is the newest durable state as it is while nothing is going on.
func (s state) resting() coord.State {
	out := s.known
	out.Cluster, out.Phase, out.Target = s.cluster, coord.PhaseSettled, ""
	if s.primary.Instance.Known() {
		out.Epoch, out.Primary = s.primary.Epoch, s.primary.Instance
	}
	return out
}

// awayServer finds the departure of the server called name.
func (s state) awayServer(name string) (coord.Departure, bool) {
	for _, d := range s.known.Away {
		if d.Server == name {
			return d, true
		}
	}
	return coord.Departure{}, false
}

// without returns a copy of list that lacks the server called name; nil when nothing is left.
func without(list []coord.Departure, name string) []coord.Departure {
	var out []coord.Departure
	for _, d := range list {
		if d.Server != name {
			out = append(out, d)
		}
	}
	return out
}

// outdated takes the places in binary logs of earlier primaries away from departures of before the epoch: they say nothing
// about the log of the one of that epoch, and by file and position a server would go on from the wrong place.
func outdated(list []coord.Departure, epoch topology.Epoch) []coord.Departure {
	var out []coord.Departure
	for _, d := range list {
		if d.FilePos && d.Epoch < epoch {
			d.Received, d.Binlog, d.Promoted = "", "", ""
		}
		out = append(out, d)
	}
	return out
}
