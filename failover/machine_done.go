package failover

import (
	"fmt"
	"slices"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/topology"
)

// done takes the result of the current step.
func (s state) done(in inDone) (state, []action) {
	if s.plan == nil || s.plan.step() != in.Step {
		return s, nil
	}
	if in.Outcome != outcomeOK {
		return s.failed(in)
	}
	switch in.Step {
	case stepLoad:
		s.known, s.haveKnown = in.Stored, in.Found
		if in.Stored.Phase != coord.PhaseSettled {
			s = s.doubting(in.Stored.Target, in.Stored.Primary.Name)
		}
		s.epoch = max(s.epoch, in.Stored.Epoch)
		s.unparked = slices.ContainsFunc(in.Stored.Away, func(d coord.Departure) bool { return d.Circular && d.Why == "failover" })
	case stepInspect:
		return s.judge(in.View)
	case stepPrecheck:
		return s.prechecked(in.View)
	case stepAssess:
		return s.assessed(in.View)
	case stepSchema:
		s.schema = true
	case stepMark, stepUnmark, stepNote, stepKeep, stepSave:
		before := s.known.Away
		s.known, s.haveKnown = s.saving(), true
		s = s.forgetComebacks(before)
		s.epoch = max(s.epoch, s.known.Epoch)
	case stepCutoff:
		s.primary, s.held = topology.Primary{Epoch: s.primary.Epoch}, true
	case stepFenceOld:
		p := *s.plan
		p.op.Gone.Fence = in.Gone.Fence
		s.plan = &p
	case stepWeigh:
		return s.weighed(in.Gone)
	case stepDetach:
		return s.detached(in.Gone)
	case stepPromote:
		s = s.placed(in.Gone)
	case stepRepoint:
		return s.repointed(in)
	case stepJudge:
		return s.judgedReturn(in.Judged)
	case stepRewind, stepRebuild, stepDiscard:
		return s.renewed(in.Gone)
	case stepResume:
		s.held = false
	case stepPublish:
		if s.proved = s.now; s.plan.kind == planInstall {
			s.proved = s.plan.began
		}
		s.waits = false
		if s.lost = false; s.primary.Instance != s.plan.op.To {
			s.backs = nil // whoever followed the primary before has to be judged again
		}
		s.primary, s.peek = topology.Primary{Instance: s.plan.op.To, Epoch: s.plan.op.Epoch}, time.Time{}
	case stepRelink:
		if in.Judged.Verdict != "" {
			return s.unlike(in.Judged)
		}
	case stepPeek:
		return s.peeked(in.SemiSync)
	case stepPark:
		s.unparked = false
	case stepSettle:
		s.parked.plan = s.parked.plan.placed(in.Gone)
		return s.settled(true)
	case stepEpoch:
		s.epoch = max(s.epoch, s.plan.op.Epoch)
	default:
	}
	return s.advance()
}

// advance goes on to the next step, or ends the plan.
func (s state) advance() (state, []action) {
	if s.plan.kind == planFailover && s.cameBack() {
		return s.retreat(s.plan.step(), []string{fmt.Sprintf("%s answers again.", s.plan.op.From.Name)})
	}
	if s.plan.at+1 < len(s.plan.steps) {
		s.plan = s.plan.next()
		return s, []action{s.run()}
	}
	return s.finished()
}

// finished ends a plan whose last step is over.
func (s state) finished() (state, []action) {
	p := s.plan
	switch p.kind {
	case planInstall:
		s = s.serving()
		if !p.op.To.Known() { // the pointer was taken back, see judge
			s.mode, s.reasons = StateSplit, p.why
		}
		return s.end()
	case planSwitchover:
		s = s.served()
		if p.op.ID == "" {
			return s.end()
		}
		return s.end(actReply{ID: p.op.ID, Outcome: replyCompleted, Op: p.op, Notes: p.notes})
	case planUndo:
		parked := s.parked.why != notParked
		s = s.serving()
		if parked { // the request was answered when the operation was parked
			return s.end()
		}
		return s.end(actReply{ID: p.op.ID, Outcome: replyAborted, Op: p.op, Phase: p.failed, Reasons: p.why, Notes: p.notes})
	case planFailover:
		s = s.served()
		return s.end(actReply{ID: p.op.ID, Outcome: replyCompleted, Op: p.op, Notes: p.notes})
	case planRetreat:
		return s.retreated()
	case planReturn:
		return s.returned()
	case planRelink:
		s = s.wellAgain(p.op.Server)
		s.peek = time.Time{}
		return s.end()
	case planAbandon:
		return s.abandonedFor(replyCompleted, p.notes)
	case planMend:
		return s.mended()
	case planInspect, planClose, planSettle, planPeek:
		return s.end()
	default:
		return s.end()
	}
}

// peeked remembers whether commits wait for an acknowledgement. That a primary which did so does not any more, while everybody
// is there, is what an operator wanted. One that was not seen to do so since it was published or away has forgotten it, and
// is told again.
func (s state) peeked(semiSync bool) (state, []action) {
	away := len(s.known.Away) > 0
	s.waits = semiSync || s.waits && !away
	if semiSync == s.known.SemiSync || !semiSync && away {
		return s.advance()
	}
	p := *s.plan
	if !semiSync && !s.waits {
		p.steps = append(slices.Clone(p.steps), stepSemiSync)
	} else {
		p.semiSync = &semiSync
		p.steps = append(slices.Clone(p.steps), stepKeep)
	}
	s.plan = &p
	return s.advance()
}

// served is serving after steps that may have taken long since the primary was opened: it may have been away meanwhile.
func (s state) served() state {
	lost := s.lost
	s = s.serving()
	s.lost = lost
	return s
}

// serving is the state in which the primary serves.
func (s state) serving() state {
	s.mode, s.reasons, s.lost, s.parked = StateRunning, nil, false, parking{}
	s.vetoed, s.doubted = nil, detect.Unknown
	return s
}

// prechecked judges the precheck's inspection: refuse, answer the dry run, or begin.
func (s state) prechecked(v view) (state, []action) {
	p := *s.plan
	c := choose(s.marked(v), p.op.From.Name, p.req.To, s.limits, s.haveReplication)
	p.op.To, p.op.Repoint, p.op.SemiSync, p.op.FilePos = c.To, c.Repoint, c.SemiSync, c.FilePos
	if s.waits && len(s.known.Away) == 0 && !c.SemiSync { // somebody has switched it off since the last look
		off := false
		p.semiSync = &off
	}
	s.epoch = max(s.epoch, v.newestRow().Epoch)
	p.op.Epoch = s.epoch + 1
	if len(c.Reasons) > 0 {
		return s.end(actReply{ID: p.op.ID, Outcome: replyRefused, Op: p.op, Phase: stepPrecheck, Reasons: c.Reasons})
	}
	if p.req.DryRun {
		p.op.Epoch = s.primary.Epoch
		return s.end(actReply{ID: p.op.ID, Outcome: replyDryRun, Op: p.op, Blockers: c.Blockers})
	}
	p.steps = switchoverSteps(c)
	s.plan, s.mode, s.reasons = &p, StateSwitching, []string{fmt.Sprintf("The primary role is being moved from %s to %s.", p.op.From.Name, p.op.To.Name)}
	return s.advance()
}

// failed takes a step that did not succeed.
func (s state) failed(in inDone) (state, []action) {
	s = s.strayOrder(in.Step)
	switch s.plan.kind {
	case planSwitchover:
		return s.failedSwitchover(in)
	case planUndo:
		return s.failedUndo(in)
	case planSettle:
		if in.Outcome == outcomeFailed {
			return s.settled(false)
		}
		s.reasons = in.Reasons
		return s.end()
	case planFailover:
		return s.failedFailover(in)
	case planRetreat:
		return s.failedRetreat(in)
	case planReturn:
		return s.failedReturn(in)
	case planRelink:
		return s.failedRelink(in)
	case planPeek:
		if in.Step == stepSemiSync {
			s.peek = s.now.Add(mendAtMost)
		}
		return s.end()
	case planAbandon:
		if in.Step == stepKeep {
			return s.stick(in)
		}
		if s.plan.abandoned != nil {
			s.parked = parking{why: parkedPromote, plan: s.plan.abandoned}
		}
		return s.abandonedFor(replyAborted, in.Reasons)
	case planMend:
		return s.mended()
	case planInspect, planInstall, planClose:
		return s.failedInstall(in)
	default:
		return s.end()
	}
}

// failedInstall gives up until the next tick, except where a failure is no obstacle.
func (s state) failedInstall(in inDone) (state, []action) {
	switch in.Step {
	case stepSchema, stepInspect:
		if in.Outcome == outcomeDenied {
			s.mode, s.reasons, s.plan = StateNoPrimary, in.Reasons, nil
			return s, []action{actStop{Denied: true}}
		}
	case stepClose:
		if s.plan.kind == planInstall { // it has moved already, and read_only is set
			s.plan = s.plan.note(in.Reasons...)
			return s.advance()
		}
	case stepEpoch, stepResume, stepSemiSync, stepPark:
		s.unparked = s.unparked || in.Step == stepPark
		s.plan = s.plan.note(in.Reasons...)
		return s.advance()
	default:
	}
	if s.plan.kind != planClose {
		s.mode = StateNoPrimary
	}
	s.reasons = append(append([]string(nil), s.plan.why...), in.Reasons...)
	return s.end()
}

// failedSwitchover undoes what was done before the promotion; after it there is only forward.
func (s state) failedSwitchover(in inDone) (state, []action) {
	p := s.plan
	switch in.Step {
	case stepPrecheck:
		return s.end(actReply{ID: p.op.ID, Outcome: replyRefused, Op: p.op, Phase: in.Step, Reasons: in.Reasons})
	case stepPromote:
		if in.Outcome == outcomeUnknown {
			return s.park(parkedPromote, in)
		}
	case stepSave, stepPublish, stepResume: // nobody may go on before these have succeeded
		return s.stick(in)
	case stepRepoint:
		return s.repointed(in)
	case stepEpoch, stepSemiSync, stepDemote, stepFollow, stepKeep:
		s.plan = p.note(in.Reasons...)
		return s.advance()
	default:
	}
	return s.begin(&plan{kind: planUndo, steps: undoSteps(in.Step), op: p.op, failed: in.Step, why: in.Reasons, notes: p.notes})
}

// failedUndo parks an operation whose old primary could not be opened again; other failures are noted.
func (s state) failedUndo(in inDone) (state, []action) {
	switch in.Step {
	case stepReopen:
		return s.park(parkedReopen, in)
	case stepResume:
		return s.stick(in)
	default:
		s.plan = s.plan.note(in.Reasons...)
		return s.advance()
	}
}

// stick leaves the plan where it is; the next tick tries the step again.
func (s state) stick(in inDone) (state, []action) {
	q := *s.plan
	q.stuck = true
	s.plan, s.reasons = &q, in.Reasons
	return s, nil
}

// park leaves the operation as it is, clients held, and answers the request. Ticks try again.
func (s state) park(why parkReason, in inDone) (state, []action) {
	p := s.plan
	already := s.parked.why != notParked
	reasons := append(append([]string(nil), p.why...), in.Reasons...)
	s.parked = parking{why: why, plan: p}
	s.mode, s.reasons = StateDegraded, append([]string{fmt.Sprintf(
		"The move of the primary role from %s to %s stopped in step %s and it is not certain yet which server is writable. Clients are held until it is.",
		p.op.From.Name, p.op.To.Name, in.Step)}, reasons...)
	if already {
		return s.end()
	}
	phase := in.Step
	if p.kind == planUndo {
		phase = p.failed
	}
	return s.end(actReply{ID: p.op.ID, Outcome: replyUnresolved, Op: p.op, Phase: phase, Reasons: reasons})
}

// settled goes on after it became certain whether the candidate was opened.
func (s state) settled(opened bool) (state, []action) {
	p := s.parked.plan
	if !opened && p.kind == planFailover {
		s.plan, s.parked = p, parking{}
		return s.retreat(stepPromote, s.reasons)
	}
	if !opened {
		return s.begin(&plan{kind: planUndo, steps: undoSteps(stepPromote), op: p.op, failed: stepPromote, why: p.why})
	}
	forward := *p
	forward.op.ID = "" // the request was answered when the operation was parked
	for i, name := range forward.steps {
		if name == stepEpoch {
			forward.at = i
		}
	}
	return s.begin(&forward)
}
