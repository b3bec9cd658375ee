package failover

import (
	"fmt"
	"slices"
	"time"

	"github.com/onewriter/onewriter/coord"
)

// stage is how far a server that was away has come since it answers again.
type stage uint8

const (
	stageAway     stage = iota // it does not answer, or was not looked at yet
	stageClosed                // it is closed and judged
	stageAttached              // it follows the primary and has to catch up
)

// comeback is the stage of one server and since when.
type comeback struct {
	Server string
	Stage  stage
	Since  time.Time
	Wait   time.Duration // stageClosed: how long after Since it is judged again
}

const (
	steadyFor   = 2 * time.Second  // how long a server must follow without a gap before it counts again
	judgeAgain  = 30 * time.Second // how long after a verdict that is not final it is looked for again; then twice that, and so on
	judgeAtMost = 10 * time.Minute // the longest of these times, because the binary log of the primary is read each time
	returnAgain = 5 * time.Second  // how long after a failed attempt the next one is made
)

// The verdicts on a server that came back, as package rejoin words them.
const (
	verdictClean    = "clean"
	verdictDiverged = "diverged"
	// verdictDifferent is ours: it follows after a rewind, and what the rewind has touched is not as on the primary.
	verdictDifferent = "different"
)

// judged is what was found out about a server that came back.
type judged struct {
	Verdict string
	OwnOnly bool // what only it has is all in Onewriter's own schema
	Reasons []string
}

// justFailed reports whether the last attempt to bring the server back has failed a moment ago.
func (s state) justFailed(server string) bool {
	c := s.comebackOf(server)
	return c.Stage == stageAway && !c.Since.IsZero() && s.now.Sub(c.Since) < returnAgain
}

func (s state) comebackOf(server string) comeback {
	for _, c := range s.backs {
		if c.Server == server {
			return c
		}
	}
	return comeback{Server: server}
}

// come notes how far a server has come.
func (s state) come(server string, at stage) state {
	list := []comeback{{Server: server, Stage: at, Since: s.now}}
	for _, c := range s.backs {
		if c.Server != server {
			list = append(list, c)
		}
	}
	s.backs = list
	return s
}

// dueAgain lets a server be looked after as soon as that can be.
func (s state) dueAgain(server string) state {
	s = s.come(server, stageAway)
	s.backs[0].Since = time.Time{}
	return s
}

// forgetComebacks drops what is remembered of servers that are not away any more, or away for another reason than
// before.
func (s state) forgetComebacks(before []coord.Departure) state {
	var list []comeback
	for _, c := range s.backs {
		now, ok := s.awayServer(c.Server)
		for _, d := range before {
			if ok && d.Server == c.Server && d.At.Equal(now.At) {
				list = append(list, c)
			}
		}
	}
	s.backs = list
	if _, ok := s.awayServer(s.awayTroubled); !ok {
		s = s.wellAgain(s.awayTroubled)
	}
	return s
}

// wellAgain drops what is told about trouble with the server.
func (s state) wellAgain(server string) state {
	if s.awayTroubled == server {
		s.awayTrouble, s.awayTroubled = nil, ""
	}
	return s
}

// tend looks after the servers that are away: one that answers is closed and judged at once, one that follows is
// watched until it has caught up. Then after standbys whose replication has ended without an order. ok is false when there is nothing to do now.
func (s state) tend() (next state, actions []action, ok bool) {
	for _, d := range s.known.Away {
		x, seen := s.sightOf(d.Server)
		c := s.comebackOf(d.Server)
		switch {
		case !seen:
		case !x.OK && c.Stage == stageAttached: // its replication goes on, or will not come up again and it is judged anew
			s = s.come(d.Server, stageAttached)
		case !x.OK:
			s = s.dueAgain(d.Server)
		case x.Writable && !s.justFailed(d.Server) || c.Stage == stageAway && (c.Since.IsZero() || s.now.Sub(c.Since) >= returnAgain):
			next, actions = s.beginReturn("", d, RejoinRequest{Server: d.Server})
			return next, actions, true
		case c.Stage == stageClosed && d.Verdict != verdictDiverged && d.Verdict != verdictDifferent && s.now.Sub(c.Since) >= c.Wait:
			next, actions = s.beginReturn("", d, RejoinRequest{Server: d.Server})
			return next, actions, true
		case c.Stage == stageAttached:
			if next, actions, ok = s.tendAttached(d, x, c); ok {
				return next, actions, true
			}
			s = next
		}
	}
	return s.mend()
}

// tendAttached waits until the server has followed without a gap for a while.
func (s state) tendAttached(d coord.Departure, x sight, c comeback) (state, []action, bool) {
	switch {
	case !x.Replicates && s.now.Sub(c.Since) >= judgeAgain:
		next, actions := s.beginReturn("", d, RejoinRequest{Server: d.Server})
		return next, actions, true
	case !x.Replicates:
		return s, nil, false
	case !x.CaughtUp:
		return s.come(d.Server, stageAttached), nil, false
	case s.now.Sub(c.Since) < steadyFor:
		return s, nil, false
	}
	next, actions := s.begin(&plan{
		kind: planRelink, steps: []stepName{stepRelink, stepKeep}, op: operation{To: s.primary.Instance, Epoch: s.primary.Epoch, Server: d.Server, Gone: d},
		away: without(s.known.Away, d.Server), setAway: true,
	})
	return next, actions, true
}

func (s state) sightOf(name string) (sight, bool) {
	for _, x := range s.sights {
		if x.Name == name {
			return x, true
		}
	}
	return sight{}, false
}

// beginReturn closes and judges the server d; what follows depends on the verdict. id is empty when nobody asked.
func (s state) beginReturn(id string, d coord.Departure, req RejoinRequest) (state, []action) {
	return s.begin(&plan{
		kind: planReturn, steps: []stepName{stepQuarantine, stepJudge}, rejoin: req,
		op: operation{ID: id, To: s.primary.Instance, Epoch: s.primary.Epoch, Server: d.Server, Method: req.Method, Gone: d},
	})
}

// closeAway closes the server d while it cannot be compared with the primary, which is in doubt. It is judged later.
func (s state) closeAway(d coord.Departure) (state, []action) {
	return s.begin(&plan{
		kind: planReturn, steps: []stepName{stepQuarantine},
		op: operation{To: s.primary.Instance, Epoch: s.primary.Epoch, Server: d.Server, Gone: d},
	})
}

// judgedReturn goes on by the verdict.
func (s state) judgedReturn(j judged) (state, []action) {
	p := *s.plan
	if p.op.Gone.Verdict == verdictDifferent && (p.op.ID == "" || p.rejoin.DryRun) { // histories do not show it
		j = judged{Verdict: verdictDifferent, Reasons: p.op.Gone.Reasons}
	}
	p.op.Gone.Verdict, p.op.Gone.Reasons = j.Verdict, j.Reasons
	p.steps = append(append([]stepName(nil), p.steps...), s.returnSteps(p, j)...)
	p.away = append(without(s.known.Away, p.op.Server), p.op.Gone)
	p.setAway = true
	s.plan = &p
	return s.advance()
}

// returnSteps lists what follows the verdict. What only this server has is never thrown away without being asked.
func (s state) returnSteps(p plan, j judged) []stepName {
	asked := p.op.ID != ""
	switch {
	case p.rejoin.DryRun:
		return []stepName{stepKeep}
	case p.rejoin.Method == RejoinRebuild:
		return []stepName{stepRebuild, stepKeep, stepReattach, stepKeep}
	case p.rejoin.Method == RejoinDiscard:
		return []stepName{stepDiscard, stepKeep}
	case j.Verdict == verdictClean && (asked || s.policy.Rejoin || p.op.Gone.Why != "failover"):
		return []stepName{stepReattach, stepKeep}
	case j.Verdict == verdictDiverged && p.rejoin.Method == RejoinRewind,
		j.Verdict == verdictDiverged && j.OwnOnly && s.policy.Rejoin && s.policy.RejoinRewind:
		return []stepName{stepRewind, stepKeep, stepReattach, stepKeep}
	default:
		return []stepName{stepKeep}
	}
}

// renewed keeps what is different about the server since its history was begun anew.
func (s state) renewed(gone coord.Departure) (state, []action) {
	p := *s.plan
	p.op.Gone.Seen, p.op.Gone.UUID, p.op.Gone.Received = gone.Seen, gone.UUID, gone.Received
	p.away = append(without(p.away, p.op.Server), p.op.Gone)
	s.plan = &p
	return s.advance()
}

// returned ends the attempt.
func (s state) returned() (state, []action) {
	p := s.plan
	attached := false
	for _, name := range p.steps {
		attached = attached || name == stepReattach || name == stepDiscard
	}
	switch {
	case attached:
		s = s.come(p.op.Server, stageAttached)
	case !slices.Contains(p.steps, stepJudge):
		s = s.dueAgain(p.op.Server)
	default:
		wait := min(max(judgeAgain, 2*s.comebackOf(p.op.Server).Wait), judgeAtMost)
		s = s.come(p.op.Server, stageClosed)
		s.backs[0].Wait = wait
	}
	s = s.wellAgain(p.op.Server)
	if p.op.ID == "" {
		return s.end()
	}
	reply := actReply{ID: p.op.ID, Outcome: replyCompleted, Op: p.op, Reasons: p.op.Gone.Reasons, Notes: p.notes}
	switch {
	case p.rejoin.DryRun:
		reply.Outcome = replyDryRun
	case !attached:
		reply.Outcome, reply.Phase = replyRefused, stepJudge
	}
	return s.end(reply)
}

// failedReturn leaves the server away; it stays closed, and another attempt is made later.
func (s state) failedReturn(in inDone) (state, []action) {
	p := s.plan
	s = s.come(p.op.Server, stageAway)
	s.awayTroubled = p.op.Server
	s.awayTrouble = append([]string{fmt.Sprintf("The return of %s failed in step %s.", p.op.Server, in.Step)}, in.Reasons...)
	if p.op.ID == "" {
		return s.end()
	}
	return s.end(actReply{ID: p.op.ID, Outcome: replyAborted, Op: p.op, Phase: in.Step, Reasons: in.Reasons})
}

// unlike leaves a server away that has caught up and is not like the primary.
func (s state) unlike(j judged) (state, []action) {
	p := *s.plan
	p.op.Gone.Verdict, p.op.Gone.Reasons = j.Verdict, j.Reasons
	p.away = append(without(s.known.Away, p.op.Server), p.op.Gone)
	s.plan = &p
	return s.come(p.op.Server, stageClosed).advance()
}

// failedRelink tries again when the server has been steady for another while.
func (s state) failedRelink(in inDone) (state, []action) {
	s = s.come(s.plan.op.Server, stageAttached)
	s.awayTroubled = s.plan.op.Server
	s.awayTrouble = append([]string{fmt.Sprintf("%s follows again, but not everything could be restored.", s.plan.op.Server)}, in.Reasons...)
	return s.end()
}
