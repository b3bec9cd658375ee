package failover

import (
	"fmt"

	"github.com/onewriter/onewriter/coord"
)

// abandon is an operator's way out of an operation whose promotion has got no answer and whose candidate does not come
// back: that server is left behind as one that may have been opened. What then happens is decided anew, from the state
// before the operation: the old primary is opened again, or there is a failover from it to another server.
func (s state) abandon(id string) (state, []action) {
	p := s.parked.plan
	to := p.op.To.Name
	gone := coord.Departure{
		Server: to, Epoch: p.op.Epoch, At: s.now, Operation: id, Why: "failover", Fence: "not-fenced", WindowMS: -1,
		FilePos: p.op.FilePos, SemiSync: p.op.SemiSync, Circular: p.op.Gone.Circular || !p.op.failover() && len(p.op.Repoint) == 0,
	}
	s.epoch, s.lost, s.held, s.parked = max(s.epoch, p.op.Epoch), true, true, parking{}
	return s.begin(&plan{
		kind: planAbandon, steps: []stepName{stepPublish, stepKeep}, op: operation{ID: id, From: p.op.To, Epoch: s.primary.Epoch}, abandoned: p,
		away: append(without(without(s.known.Away, s.known.Primary.Name), to), gone), setAway: true,
		notes: []string{fmt.Sprintf("%s is left behind: it may have been opened, and is closed as soon as it answers. Look at the status for what follows.", to)},
	})
}

// abandonedFor ends that.
func (s state) abandonedFor(outcome replyOutcome, why []string) (state, []action) {
	p := s.plan
	s.mode, s.reasons = StateNoPrimary, append([]string(nil), why...)
	r := actReply{ID: p.op.ID, Outcome: outcome, Op: p.op, Notes: why}
	if outcome == replyAborted {
		s.mode, r.Phase, r.Reasons, r.Notes = StateDegraded, p.step(), why, nil
	}
	return s.end(r)
}
