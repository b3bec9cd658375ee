package failover

import (
	"slices"
	"time"
)

// A standby whose replication has ended without an order of anybody is started again: its receiver has given up because it
// did not get through to the primary for too long, or an order of ours to stop, of which we have not heard again, has
// reached it late. What an operator has stopped, and an applier that has met an error, are left alone.

const (
	mendFirst  = 5 * time.Second // how long it must have been so before the first attempt
	mendAtMost = 5 * time.Minute // the longest time between two attempts; each is twice the one before
	// doubtFor is how long an order of ours may be under way to a server that hangs.
	doubtFor = 5 * time.Minute
)

// mending is a server whose replication is started again.
type mending struct {
	Server string
	Tries  int
	Next   time.Time
}

// doubt is a server whose replication a step of ours may have stopped although it failed.
type doubt struct {
	Server string
	Until  time.Time
}

// mend starts the replication of a standby again when that is due.
func (s state) mend() (next state, actions []action, ok bool) {
	var list []mending
	due := ""
	for _, x := range s.sights {
		if !s.idle(x) {
			continue
		}
		m := mending{Server: x.Name, Next: s.now.Add(mendFirst)}
		if i := slices.IndexFunc(s.mends, func(o mending) bool { return o.Server == x.Name }); i >= 0 {
			m = s.mends[i]
		}
		list = append(list, m)
		if due == "" && !s.now.Before(m.Next) {
			due = x.Name
		}
	}
	s.mends = list
	if due == "" {
		return s, nil, false
	}
	next, actions = s.begin(&plan{kind: planMend, steps: []stepName{stepMend}, op: operation{To: s.primary.Instance, Epoch: s.primary.Epoch, Server: due}})
	return next, actions, true
}

// idle reports whether x is a standby whose replication has ended without an order.
func (s state) idle(x sight) bool {
	if _, away := s.awayServer(x.Name); away || !x.OK || x.Writable || x.Name == s.primary.Instance.Name {
		return false
	}
	ours := slices.ContainsFunc(s.unsure, func(d doubt) bool { return d.Server == x.Name && s.now.Before(d.Until) })
	return x.GaveUp || x.Stopped && ours
}

// mended ends an attempt. The next one, if the server does not replicate then, is made after twice the time.
func (s state) mended() (state, []action) {
	list := slices.Clone(s.mends)
	for i, m := range list {
		if m.Server == s.plan.op.Server {
			wait := min(mendFirst<<min(m.Tries+1, 10), mendAtMost)
			list[i].Tries, list[i].Next = m.Tries+1, s.now.Add(wait)
		}
	}
	s.mends = list
	return s.end()
}

// strayOrder notes whose replication the step that has failed may stop yet.
func (s state) strayOrder(name stepName) state {
	switch name {
	case stepFenceOld, stepSilence, stepApply, stepDetach, stepPark, stepReconnect, stepRepoint, stepQuarantine, stepReattach, stepRelink, stepMend:
		op := s.plan.op
		return s.doubting(append([]string{op.To.Name, op.From.Name, op.Server}, op.Repoint...)...)
	default:
		return s
	}
}

func (s state) doubting(servers ...string) state {
	var list []doubt
	for _, d := range s.unsure {
		if s.now.Before(d.Until) && !slices.Contains(servers, d.Server) {
			list = append(list, d)
		}
	}
	for _, name := range servers {
		if name != "" {
			list = append(list, doubt{name, s.now.Add(doubtFor)})
		}
	}
	s.unsure = list
	return s
}
