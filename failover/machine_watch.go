package failover

import (
	"fmt"

	"github.com/onewriter/onewriter/topology"
)

// tick tries again what is unclear or stuck.
func (s state) tick() (state, []action) {
	switch {
	case s.plan != nil && s.plan.stuck:
		q := *s.plan
		q.stuck = false
		s.plan = &q
		return s, []action{s.run()}
	case s.plan != nil || s.stopping:
		return s, nil
	case !s.booted:
		return step(s, inBoot{})
	case s.parked.why == parkedReopen:
		p := s.parked.plan
		return s.begin(&plan{kind: planUndo, steps: undoSteps(stepFence), op: p.op, failed: p.failed, why: p.why})
	case s.parked.why == parkedPromote:
		return s.begin(&plan{kind: planSettle, steps: []stepName{stepSettle}, op: s.parked.plan.op})
	default:
		return s.look(true)
	}
}

// look compares the monitor's sights with what they should be and begins an inspection when they differ. The same
// picture is inspected again only with force.
func (s state) look(force bool) (state, []action) {
	if s.plan != nil || !s.booted || s.stopping || s.parked.why != notParked {
		return s, nil
	}
	if s.primary.Instance.Known() {
		if why, away := s.primaryAway(); away {
			s.mode, s.lost, s.looked = StateNoPrimary, true, ""
			s.reasons = []string{fmt.Sprintf("The primary %s does not answer: %s.", s.primary.Instance.Name, why)}
			return s, nil
		}
		if s.mode == StateRunning && s.asExpected() {
			s.looked = ""
			return s, nil
		}
	}
	now := signature(s.sights)
	if now == s.looked && !force {
		return s, nil
	}
	s.looked = now
	return s.begin(&plan{kind: planInspect, steps: []stepName{stepInspect}})
}

// primaryAway reports whether the monitor gets no answer from the primary, and why.
func (s state) primaryAway() (string, bool) {
	for _, x := range s.sights {
		if x.Name == s.primary.Instance.Name && !x.OK {
			return x.Why, true
		}
	}
	return "", false
}

// asExpected reports whether the primary is writable and no other server is.
func (s state) asExpected() bool {
	for _, x := range s.sights {
		if x.OK && x.Writable != (x.Name == s.primary.Instance.Name) {
			return false
		}
	}
	return true
}

// judge decides about a fresh inspection and begins what follows from it.
func (s state) judge(v view) (state, []action) {
	first := !s.booted
	s.booted = true
	d := decide(question{View: v, Known: s.known, HaveKnown: s.haveKnown, MayReopen: first || s.lost || !s.primary.Instance.Known()})
	s.epoch = max(s.epoch, d.Epoch, v.newestRow().Epoch)
	op := operation{To: d.Primary, Epoch: d.Epoch, Others: d.Others}
	switch d.Kind {
	case verdictServe, verdictAdopt:
		return s.install(op, d.NewRow)
	case verdictReopen:
		p := s.installPlan(op, false)
		p.steps = append([]stepName{stepReopen}, p.steps...)
		return s.begin(p)
	case verdictClose:
		s.mode, s.reasons = StateSplit, d.Reasons
		return s.begin(&plan{kind: planClose, steps: []stepName{stepClose, stepInspect}, op: op, why: d.Reasons})
	case verdictClosed:
		s.mode, s.reasons = StateDegraded, d.Reasons
		return s.end()
	case verdictSplit:
		s.mode, s.reasons = StateSplit, d.Reasons
		if s.primary.Instance.Known() {
			return s.begin(&plan{kind: planInstall, steps: []stepName{stepPublish}, op: operation{Epoch: s.primary.Epoch}, why: d.Reasons})
		}
		return s.end()
	case verdictNone:
		s.mode, s.reasons = StateNoPrimary, d.Reasons
		return s.end()
	default:
		return s.end()
	}
}

// install brings op.To into service. A primary that is already published goes on as it is.
func (s state) install(op operation, newRow bool) (state, []action) {
	if s.primary == (topology.Primary{Instance: op.To, Epoch: op.Epoch}) && s.schema && !newRow {
		s = s.serving()
		return s.end()
	}
	return s.begin(s.installPlan(op, newRow))
}

func (s state) installPlan(op operation, newRow bool) *plan {
	var steps []stepName
	if !s.schema {
		steps = append(steps, stepSchema)
	}
	if newRow {
		steps = append(steps, stepEpoch)
	}
	return &plan{kind: planInstall, steps: append(steps, stepSave, stepPublish), op: op}
}
