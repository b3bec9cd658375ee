package failover

import (
	"fmt"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/topology"
)

// abandon is an operator's way out of an operation whose promotion has got no answer and whose candidate does not come
// back: that server is left behind as one that may have been opened. What then happens is decided anew, from the state
// before the operation: the old primary is opened again, or there is a failover from it to another server.
func (s state) abandon(id string) (state, []action) {
	p := s.parked.plan
	s.epoch, s.lost, s.held, s.parked = max(s.epoch, p.op.Epoch), true, true, parking{}
	return s.leave(id, p.op.To, p, coord.Departure{
		FilePos: p.op.FilePos, SemiSync: p.op.SemiSync, Circular: p.op.Gone.Circular || !p.op.failover() && len(p.op.Repoint) == 0,
	})
}

// targetSilent reports whether an earlier process has left an operation without an end, whose candidate does not answer, and
// the old primary is not gone, so that it could serve again.
func (s state) targetSilent() bool {
	if s.known.Phase == coord.PhaseSettled || s.primary.Instance.Known() || s.gone() {
		return false
	}
	x, seen := s.sightOf(s.known.Target)
	return seen && !x.OK
}

// abandonTarget is the same way out after a restart in the middle of the operation.
func (s state) abandonTarget(id string) (state, []action) {
	s.epoch = max(s.epoch, s.known.Epoch+1) // that of the operation
	gone := coord.Departure{SemiSync: s.known.SemiSync, Circular: len(s.sights) == 2}
	if d, ok := s.awayServer(s.known.Primary.Name); ok {
		gone.FilePos, gone.Circular = d.FilePos, d.Circular
	}
	return s.leave(id, topology.Instance{Name: s.known.Target}, nil, gone)
}

// leave stores that the server is left behind. The epoch is a new one: that of the operation may be in the server's row.
func (s state) leave(id string, server topology.Instance, abandoned *plan, gone coord.Departure) (state, []action) {
	s.unparked = s.unparked || gone.Circular
	gone.Server, gone.Epoch, gone.At, gone.Operation = server.Name, s.epoch+1, s.now, id
	gone.Why, gone.Fence, gone.WindowMS = "failover", "not-fenced", -1
	return s.begin(&plan{
		kind: planAbandon, steps: []stepName{stepPublish, stepKeep}, op: operation{ID: id, From: server, Epoch: gone.Epoch}, abandoned: abandoned,
		away: append(without(without(s.known.Away, s.known.Primary.Name), server.Name), gone), setAway: true,
		notes: []string{fmt.Sprintf("%s is left behind: it may have been opened, and is closed as soon as it answers. Look at the status for what follows.", server.Name)},
	})
}

// abandonedFor ends that.
func (s state) abandonedFor(outcome replyOutcome, why []string) (state, []action) {
	p := s.plan
	s.mode, s.reasons = StateNoPrimary, append([]string(nil), why...)
	r := actReply{ID: p.op.ID, Outcome: outcome, Op: p.op, Notes: why}
	if outcome == replyAborted {
		r.Phase, r.Reasons, r.Notes = p.step(), why, nil
	}
	if s.parked.why != notParked {
		s.mode = StateDegraded
	}
	return s.end(r)
}
