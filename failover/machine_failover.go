package failover

import (
	"fmt"
	"slices"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/topology"
)

// keptFailovers is how many times of failovers are remembered, at most.
const keptFailovers = 20

// subject is the server that verdicts are about: the primary, or the last known one while nobody is published.
func (s state) subject() topology.Instance {
	if s.primary.Instance.Known() {
		return s.primary.Instance
	}
	return s.known.Primary
}

// troubled reports whether the newest verdict is about the primary and not a good one.
func (s state) troubled() bool {
	if s.verdict.Primary != s.subject().Name {
		return false
	}
	switch s.verdict.Kind {
	case detect.Suspect, detect.Leaving, detect.MyLink, detect.Isolated, detect.Down, detect.Unreachable, detect.NoCandidate:
		return true
	case detect.Unknown, detect.Fine, detect.WriteStuck, detect.Split:
		return false
	default:
		return false
	}
}

// gone reports whether the verdict is that the primary is certainly gone, wherever it went.
func (s state) gone() bool {
	return s.troubled() && (s.verdict.Kind == detect.Down || s.verdict.Kind == detect.Unreachable)
}

// doubt takes a verdict that something is wrong with the primary. Clients wait (see gated); when the primary is
// certainly gone and nothing speaks against it, a failover begins.
func (s state) doubt() (state, []action) {
	if s.mode != StateNoPrimary || s.doubted != s.verdict.Kind {
		s.mode, s.doubted, s.looked = StateNoPrimary, s.verdict.Kind, ""
		s.reasons = append([]string{s.trouble()}, s.verdict.Evidence...)
	}
	s.lost = true
	if !s.gone() || s.now.Before(s.retry) {
		return s, nil
	}
	if why := s.objections(); len(why) > 0 {
		s.reasons = append([]string{s.trouble(), "There is no automatic failover: " + why[0]}, append(why[1:], s.verdict.Evidence...)...)
		s.retry = s.now.Add(s.limits.Recheck)
		return s, nil
	}
	id := fmt.Sprintf("fo-%s-%d", s.now.UTC().Format("20060102T150405"), s.epoch+1)
	return s.beginFailover(id, FailoverRequest{By: "onewriter"}, true)
}

// trouble says the verdict in one sentence.
func (s state) trouble() string {
	name := s.subject().Name
	switch s.verdict.Kind {
	case detect.Leaving:
		return fmt.Sprintf("The primary %s is shutting down.", name)
	case detect.MyLink:
		return fmt.Sprintf("The primary %s is not reached from here, but it lives: its standby still receives from it. Nothing is promoted.", name)
	case detect.Isolated:
		return "No server is reached: all are down, or it is the network of this machine. Nothing is promoted."
	case detect.Down:
		return fmt.Sprintf("The primary %s is down.", name)
	case detect.Unreachable:
		return fmt.Sprintf("The primary %s hangs or is cut off.", name)
	case detect.NoCandidate:
		return fmt.Sprintf("The primary %s is gone and no standby can take over.", name)
	case detect.Suspect, detect.Unknown, detect.Fine, detect.WriteStuck, detect.Split:
		return fmt.Sprintf("The primary %s does not answer as it should; what it is, is not certain yet.", name)
	default:
		return fmt.Sprintf("The primary %s does not answer.", name)
	}
}

// objections are the reasons why there would be no automatic failover now.
func (s state) objections() []string {
	var why []string
	switch s.policy.Mode {
	case ModeManual:
		why = append(why, "failover.mode is manual. An operator can run `onewriter failover`.")
	case ModeOff:
		why = append(why, "failover.mode is off.")
	case ModeAutomatic:
	}
	for _, f := range s.findings {
		why = append(why, "The doctor objects: "+f)
	}
	return append(append(why, s.tooOften()...), s.vetoed...)
}

// tooOften applies the cooldown and the limit per hour.
func (s state) tooOften() []string {
	var why []string
	recent := 0
	var last time.Time
	for _, at := range s.known.Failovers {
		if at.After(s.now) {
			continue // the clock was set back
		}
		if s.now.Sub(at) < time.Hour {
			recent++
		}
		if at.After(last) {
			last = at
		}
	}
	if since := s.now.Sub(last); !last.IsZero() && since < s.policy.Cooldown {
		why = append(why, fmt.Sprintf("The last failover was less than %s ago (failover.cooldown).", s.policy.Cooldown))
	}
	if s.policy.MaxPerHour > 0 && recent >= s.policy.MaxPerHour {
		why = append(why, fmt.Sprintf("There were %d failovers within an hour, which is the limit (failover.max_per_hour). Somebody should look why; `onewriter failover` moves the role all the same.", recent))
	}
	return why
}

// beginFailover starts with looking at the servers that are left.
func (s state) beginFailover(id string, req FailoverRequest, auto bool) (state, []action) {
	s.parked = parking{} // of a switchover whose old primary could not be opened again: it is the one that is gone
	return s.begin(&plan{
		kind: planFailover, steps: []stepName{stepAssess}, failover: req, auto: auto,
		op: operation{ID: id, From: s.subject(), Epoch: s.epoch + 1, Cause: s.verdict.Cause, Force: req.Force},
	})
}

// assessed judges the inspection: refuse, answer the dry run, or go on.
func (s state) assessed(v view) (state, []action) {
	p := *s.plan
	s.epoch = max(s.epoch, v.newestRow().Epoch)
	p.op.Epoch = s.epoch + 1
	c := chooseFailover(s.marked(v), p.op.From.Name, p.failover, s.policy)
	c.SemiSync = c.SemiSync || s.known.SemiSync
	if !p.op.Force {
		c.Reasons = append(c.Reasons, s.unfinished(v)...)
	}
	p.op.To, p.op.Repoint, p.op.SemiSync, p.op.FilePos = c.To, c.Repoint, c.SemiSync, c.FilePos
	p.notes = c.Warnings
	if c.To.Known() {
		b, _ := v.find(c.To.Name)
		old, _ := v.find(p.op.From.Name)
		p.op.Gone = coord.Departure{
			Server: p.op.From.Name, Epoch: p.op.Epoch, At: s.now, Operation: p.op.ID, Why: "failover", Fence: "not-fenced",
			FilePos: c.FilePos, Circular: c.Circular, SemiSync: c.SemiSync, UUID: old.Facts.ServerUUID, AtLeast: b.AtLeast, WindowMS: b.WindowMS,
		}
	}
	s.plan = &p
	switch {
	case p.failover.DryRun:
		return s.end(actReply{ID: p.op.ID, Outcome: replyDryRun, Op: p.op, Reasons: c.Reasons, Notes: c.Warnings})
	case len(c.Reasons) > 0:
		return s.noFailover(stepAssess, c.Reasons)
	case !s.gone() && !p.op.Force:
		return s.noFailover(stepAssess, []string{fmt.Sprintf("It is not certain any more that %s is gone.", p.op.From.Name)})
	}
	p.steps = failoverSteps(c, p.op.Cause)
	p.away, p.setAway = append(without(s.known.Away, p.op.From.Name), p.op.Gone), true
	for _, x := range v { // they go on following the old primary, or nobody, until they are looked after
		if _, already := s.awayServer(x.Instance.Name); !x.ok() && !already && x.Instance != p.op.From {
			p.away = append(p.away, s.interrupted(&p, x.Instance.Name))
		}
	}
	s.plan, s.mode = &p, StateSwitching
	s.reasons = []string{s.trouble(), fmt.Sprintf("%s is taking over from %s.", p.op.To.Name, p.op.From.Name)}
	return s.advance()
}

// unfinished says that an earlier process may have opened a server that cannot be asked.
func (s state) unfinished(v view) []string {
	if _, open := unsure(v, s.known); !open || s.primary.Instance.Known() {
		return nil
	}
	return []string{unfinished(s.known)}
}

// cameBack reports whether the old primary answers again before anything was opened, and not because we have closed it.
func (s state) cameBack() bool {
	p := s.plan
	if p.op.Force || p.op.Gone.Fence == fence.Proved.String() || s.verdict.Primary != p.op.From.Name {
		return false
	}
	rest := p.steps[p.at:]
	switch s.verdict.Kind {
	case detect.Fine:
		return slices.Contains(rest, stepPromote) && rest[0] != stepPromote
	case detect.MyLink: // the standby receives from it, as long as we let it
		return slices.Contains(rest, stepSilence) && rest[0] != stepSilence
	default:
		return false
	}
}

// noFailover gives up before anything was changed.
func (s state) noFailover(at stepName, reasons []string) (state, []action) {
	p := s.plan
	s.mode, s.doubted, s.retry = StateNoPrimary, s.verdict.Kind, s.now.Add(s.limits.Recheck)
	s.reasons = append([]string{s.trouble()}, reasons...)
	if !s.gone() { // forced, and refused
		s.mode, s.reasons = s.before(), nil
	}
	if p.auto && at == stepAssess {
		return s.end() // it is tried again and again; the reasons are in the status
	}
	return s.end(actReply{ID: p.op.ID, Outcome: replyRefused, Op: p.op, Phase: at, Reasons: reasons})
}

// before is the state that a refused request leaves behind.
func (s state) before() State {
	if s.primary.Instance.Known() && !s.troubled() {
		return StateRunning
	}
	return StateNoPrimary
}

// weighed judges the loss before anything is opened.
func (s state) weighed(gone coord.Departure) (state, []action) {
	p := *s.plan
	p.op.Gone.Fence, p.op.Gone.Seen = gone.Fence, gone.Seen
	p.op.Gone.AtLeast, p.op.Gone.WindowMS = gone.AtLeast, gone.WindowMS
	s.plan = &p
	if why := lossObjections(gone, s.policy); len(why) > 0 && !p.op.Force {
		s.vetoed = why
		return s.retreat(stepWeigh, why)
	}
	return s.advance()
}

// lossObjections compares what may be lost with the limits.
func lossObjections(gone coord.Departure, policy Policy) []string {
	var why []string
	if gone.AtLeast > policy.MaxDataLoss {
		why = append(why, fmt.Sprintf("At least %d transactions of %s would be lost; failover.max_data_loss is %d.", gone.AtLeast, gone.Server, policy.MaxDataLoss))
	}
	window := time.Duration(gone.WindowMS) * time.Millisecond
	switch {
	case gone.WindowMS < 0:
		why = append(why, fmt.Sprintf("It is not known from how long a time transactions of %s would be lost; failover.max_unreceived_window is %s.", gone.Server, policy.MaxUnreceivedWindow))
	case window > policy.MaxUnreceivedWindow:
		why = append(why, fmt.Sprintf("Transactions of the last %s of %s may be lost; failover.max_unreceived_window is %s.", window.Round(100*time.Millisecond), gone.Server, policy.MaxUnreceivedWindow))
	}
	if len(why) > 0 {
		why = append(why, "An operator can accept that with `onewriter failover --force`, or start the old primary again.")
	}
	return why
}

// detached completes what has to be remembered of the server that is left behind.
func (s state) detached(gone coord.Departure) (state, []action) {
	p := *s.plan
	p.op.Gone.Promoted, p.op.Gone.Received, p.op.Gone.Binlog, p.op.Gone.Link = gone.Promoted, gone.Received, gone.Binlog, gone.Link
	p.away = append(without(p.away, p.op.From.Name), p.op.Gone)
	s.plan = &p
	return s.advance()
}

// failedFailover takes everything back before the promotion; after it there is only forward.
func (s state) failedFailover(in inDone) (state, []action) {
	p := s.plan
	switch in.Step {
	case stepAssess, stepNote:
		return s.noFailover(in.Step, in.Reasons)
	case stepPromote:
		if in.Outcome == outcomeUnknown {
			return s.park(parkedPromote, in)
		}
	case stepSave, stepPublish, stepResume:
		return s.stick(in)
	case stepRepoint:
		return s.repointed(in)
	case stepEpoch, stepSemiSync, stepFollow, stepPark, stepKeep:
		if in.Step == stepKeep && slices.Contains(p.steps[p.at:], stepPromote) {
			return s.retreat(in.Step, in.Reasons)
		}
		s.unparked = s.unparked || in.Step == stepPark
		s.plan = p.note(in.Reasons...)
		return s.advance()
	default:
	}
	return s.retreat(in.Step, in.Reasons)
}

// retreat lets the candidate follow again. Nothing was opened; the old primary, if we have closed it, is opened again
// by the inspection that follows.
func (s state) retreat(failed stepName, why []string) (state, []action) {
	p := s.plan
	steps := []stepName{stepReconnect, stepUnmark}
	if s.held = true; failed == stepCutoff { // it tells the data path before anything in it can fail
		s.primary = topology.Primary{Epoch: s.primary.Epoch}
	}
	if failed == stepAssess || failed == stepNote || failed == stepCutoff {
		steps = []stepName{stepUnmark}
	}
	q := &plan{
		kind: planRetreat, steps: steps, op: p.op, failed: failed, why: why, notes: p.notes, auto: p.auto,
		away: without(s.known.Away, p.op.From.Name), setAway: true,
	}
	if failed == stepDetach { // a statement that was given up may still stop its replication
		gone := s.interrupted(p, p.op.To.Name)
		gone.Epoch, gone.Circular = s.known.Epoch, p.op.Gone.Circular
		q.away = append(without(q.away, p.op.To.Name), gone)
	}
	return s.begin(q)
}

// unopened reports whether an earlier process has begun a failover and certainly opened nothing: the candidate was asked
// and is closed.
func (s state) unopened(v view) bool {
	target, ok := v.find(s.known.Target)
	return s.known.Phase == coord.PhaseFailingOver && ok && target.closed()
}

// takeBack undoes what an earlier process has begun of a failover, before it opened anything. The standby whose receiver it
// has stopped could not testify to the death of the primary any more.
func (s state) takeBack(v view) (state, []action) {
	target, _ := v.find(s.known.Target)
	from := s.known.Primary
	gone, _ := s.awayServer(from.Name)
	return s.begin(&plan{
		kind: planRetreat, steps: []stepName{stepReconnect, stepUnmark}, failed: stepNote, why: []string{"Onewriter ended in the middle of it."},
		op: operation{From: from, To: target.Instance, Epoch: s.epoch + 1, Gone: gone}, auto: true,
		away: without(s.known.Away, from.Name), setAway: true,
	})
}

// failedRetreat goes on: that the failover is over has to be stored, and a candidate that could not be made to follow
// again is looked after later as one that is away.
func (s state) failedRetreat(in inDone) (state, []action) {
	if in.Step == stepUnmark {
		return s.stick(in)
	}
	p := s.plan.note(in.Reasons...)
	s.plan = p
	p.away = append(without(p.away, p.op.To.Name), coord.Departure{
		Server: p.op.To.Name, Epoch: s.known.Epoch, At: s.now, Why: "interrupted", Fence: "fenced-proved", WindowMS: -1,
		FilePos: p.op.FilePos, Circular: p.op.Gone.Circular, SemiSync: s.known.SemiSync, Operation: p.op.ID,
	})
	return s.advance()
}

// retreated ends a failover that was taken back.
func (s state) retreated() (state, []action) {
	p := s.plan
	s.mode, s.doubted, s.retry = StateNoPrimary, s.verdict.Kind, s.now.Add(s.limits.Recheck)
	s.reasons = append([]string{s.trouble(), fmt.Sprintf("The failover to %s was given up in step %s.", p.op.To.Name, p.failed)}, p.why...)
	return s.end(actReply{ID: p.op.ID, Outcome: replyAborted, Op: p.op, Phase: p.failed, Reasons: p.why, Notes: p.notes})
}

// gated makes clients wait while the primary is in doubt, and lets them go on when it serves again or when nobody is
// published, which makes them wait as well.
func (s state) gated(actions []action) (state, []action) {
	if s.plan != nil || s.parked.why != notParked {
		return s, actions
	}
	want := s.primary.Instance.Known() && (s.troubled() || s.held && s.mode != StateRunning)
	if want == s.held {
		return s, actions
	}
	s.held = want
	return s, append(actions, actGate{Hold: want, Reason: firstReason(s.reasons)})
}

func firstReason(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return reasons[0]
}

// interrupt ends what can wait when the primary is gone: something more important has to be done.
func (s state) interrupt() (state, []action) {
	if _, away := s.primaryAway(); away && s.primary.Instance.Known() {
		s.lost = true // when it comes back closed it may be opened again
	}
	if s.plan.cancelled || !s.gone() || s.policy.Mode != ModeAutomatic {
		return s, nil
	}
	switch s.plan.kind {
	case planReturn, planRelink, planPeek, planMend:
		if s.plan.step() == stepQuarantine && (s.now.Before(s.retry) || len(s.objections()) > 0) {
			return s, nil // there is no failover yet, and a server that is open has to be closed
		}
	case planSwitchover, planFailover:
		if s.primary.Instance != s.plan.op.To || s.plan.stuck || !tidying(s.plan.step()) {
			return s, nil
		}
	case planInspect, planInstall, planClose, planUndo, planSettle, planRetreat, planAbandon:
		return s, nil
	default:
		return s, nil
	}
	p := *s.plan
	p.cancelled = true
	s.plan = &p
	return s, []action{actCancel{}}
}

// tidying reports whether the step comes after clients go on: it can be left undone.
func tidying(name stepName) bool {
	switch name {
	case stepRepoint, stepDemote, stepFollow, stepPark:
		return true
	default:
		return false
	}
}

// recentFailovers adds the one that is being carried out.
func (s state) recentFailovers() []time.Time {
	list := append([]time.Time(nil), s.known.Failovers...)
	list = append(list, s.now)
	if len(list) > keptFailovers {
		list = list[len(list)-keptFailovers:]
	}
	return list
}
