package failover

import (
	"fmt"
	"slices"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
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
	case s.parked.why == parkedReopen && s.gone():
		return s.look(true)
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
	s = s.missed()
	switch {
	case s.plan != nil:
		return s.interrupt()
	case !s.booted || s.stopping:
		return s, nil
	case s.parked.why != notParked && !(s.parked.why == parkedReopen && s.gone()):
		return s, nil
	case s.primary.Instance.Known() && s.troubled():
		next, actions := s.doubt()
		if d, open := next.openAway(); open && next.plan == nil && next.held {
			return next.closeAway(d)
		}
		return next, actions
	case s.gone():
		if next, actions := s.doubt(); next.plan != nil {
			return next, actions
		}
	case s.verdict.Kind == detect.Fine:
		s.vetoed, s.retry = nil, time.Time{}
	}
	if s.primary.Instance.Known() {
		if d, open := s.openAway(); open {
			return s.beginReturn("", d, RejoinRequest{Server: d.Server})
		}
		if next, ill := s.ill(); ill {
			return next, nil
		}
		if s.mode == StateRunning {
			if next, actions, ok := s.tend(); ok {
				return next, actions
			} else {
				s = next
			}
			if s.asExpected() {
				s.looked, s.twins = "", nil
				return s.maybePeek(force)
			}
		}
	}
	now := signature(s.sights)
	if now == s.looked && !force {
		return s, nil
	}
	s.looked = now
	return s.begin(&plan{kind: planInspect, steps: []stepName{stepInspect}})
}

// missed notes that the primary was away, however shortly, since it was last seen writable. It may be back by the time
// that somebody looks.
func (s state) missed() state {
	x, seen := s.sightOf(s.primary.Instance.Name)
	switch {
	case !seen || !x.OK:
	case x.Writable && x.At.After(s.proved):
		s.proved = x.At
	case !x.Writable && x.Missed.After(s.proved):
		s.lost = true
	}
	return s
}

// openAway finds a server that was left behind and is seen writable: it is closed at once, whatever else is the matter. One that
// could not be closed is tried again after a while.
func (s state) openAway() (coord.Departure, bool) {
	for _, d := range s.known.Away {
		if x, seen := s.sightOf(d.Server); seen && x.OK && x.Writable && !s.justFailed(d.Server) {
			return d, true
		}
	}
	return coord.Departure{}, false
}

// ill takes a primary that lives but does not do everything: it does not let us in, or takes no writes. Clients that are
// on it stay on it.
func (s state) ill() (state, bool) {
	name := s.primary.Instance.Name
	ours := s.verdict.Primary == name
	why, away := s.primaryAway()
	switch {
	case ours && s.verdict.Kind == detect.WriteStuck:
		s.mode, s.reasons = StateDegraded, []string{fmt.Sprintf("The primary %s answers, but it takes no writes. Nothing is moved by itself: look at its disk and its locks, or switch over.", name)}
	case away && ours && s.verdict.Kind == detect.Fine:
		s.mode, s.reasons = StateDegraded, []string{fmt.Sprintf("The primary %s lives, but does not serve the control account: %s.", name, why)}
	case away:
		s.mode, s.lost = StateNoPrimary, true
		s.reasons = []string{fmt.Sprintf("The primary %s does not answer: %s.", name, why)}
	default:
		return s, false
	}
	s.looked = ""
	return s, true
}

// peekEvery is how often the primary's semi-sync settings are read, which say after its death whether it could have
// acknowledged anything alone.
const peekEvery = 10 * time.Second

// left lists the servers that are away.
func (s state) left() (names []string) {
	for _, d := range s.known.Away {
		names = append(names, d.Server)
	}
	return names
}

func (s state) maybePeek(ticked bool) (state, []action) {
	if ticked && s.unparked && len(s.known.Away) > 0 {
		op := operation{To: s.primary.Instance, Left: s.left()}
		return s.begin(&plan{kind: planPeek, steps: []stepName{stepPark}, op: op})
	}
	if !ticked || s.now.IsZero() || s.now.Before(s.peek) {
		return s, nil
	}
	s.peek = s.now.Add(peekEvery)
	return s.begin(&plan{kind: planPeek, steps: []stepName{stepPeek}, op: operation{To: s.primary.Instance}})
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

// asExpected reports whether the primary is writable and no other server is, but for one that is to be closed again soon.
func (s state) asExpected() bool {
	for _, x := range s.sights {
		if x.OK && x.Writable != (x.Name == s.primary.Instance.Name) {
			if _, away := s.awayServer(x.Name); away && s.justFailed(x.Name) && len(s.twins) == 0 {
				continue
			}
			return false
		}
	}
	return true
}

// judge decides about a fresh inspection and begins what follows from it.
func (s state) judge(v view) (state, []action) {
	first := !s.booted
	s.booted, s.peek = true, time.Time{}
	v = v.apart(s.known)
	s.twins = v.twins()
	d := decide(question{View: v, Known: s.known, HaveKnown: s.haveKnown, MayReopen: first || s.lost || s.lapsed || !s.primary.Instance.Known()})
	s.epoch = max(s.epoch, d.Epoch, v.newestRow().Epoch)
	op := operation{To: d.Primary, Epoch: d.Epoch, Others: d.Others}
	away, changed := s.awayAfter(d, v)
	for _, x := range away {
		op.Left = append(op.Left, x.Server)
	}
	switch d.Kind {
	case verdictAdopt:
		if k, ok := v.find(s.known.Primary.Name); ok && k.Instance != d.Primary && k.halfClosed() {
			op.Others = []string{k.Instance.Name}
		}
		return s.install(op, d.NewRow, away, changed)
	case verdictServe:
		return s.install(op, d.NewRow, away, changed)
	case verdictReopen:
		p := s.installPlan(op, d.NewRow)
		p.away, p.setAway = away, changed
		p.steps = append([]stepName{stepReopen}, p.steps...)
		if s.known.SemiSync && len(away) == 0 { // before anybody writes
			p.steps = slices.Insert(p.steps, 1, stepSemiSync)
		}
		return s.begin(p)
	case verdictClose:
		s.mode, s.reasons = StateSplit, d.Reasons
		return s.begin(&plan{kind: planClose, steps: []stepName{stepClose, stepKeep, stepInspect}, op: op, why: d.Reasons, away: away, setAway: changed})
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
		if !s.primary.Instance.Known() && s.unopened(v) {
			return s.takeBack(v)
		}
		if s.mode != StateNoPrimary || !s.gone() { // otherwise what is said about the failure is the better reason
			s.mode, s.reasons = StateNoPrimary, d.Reasons
		}
		return s.end()
	default:
		return s.end()
	}
}

// install brings op.To into service. A primary that is already published goes on as it is.
func (s state) install(op operation, newRow bool, away []coord.Departure, changed bool) (state, []action) {
	if s.primary == (topology.Primary{Instance: op.To, Epoch: op.Epoch}) && s.schema && !newRow && !changed && !s.restoreSemiSync(away) {
		s.proved = s.plan.began
		s = s.serving()
		return s.end()
	}
	p := s.installPlan(op, newRow)
	p.away, p.setAway = away, changed
	p.steps = append(p.steps, s.extraSteps(op, away)...)
	return s.begin(p)
}

// restoreSemiSync reports whether the primary has to be told again that commits wait for an acknowledgement: it may have
// restarted, and somebody is there who acknowledges.
func (s state) restoreSemiSync(away []coord.Departure) bool {
	return s.known.SemiSync && len(away) == 0 && (s.lost || !s.primary.Instance.Known())
}

// extraSteps lists what has to be restored besides after a restart of the primary or of this process.
func (s state) extraSteps(op operation, away []coord.Departure) []stepName {
	var steps []stepName
	if s.restoreSemiSync(away) {
		steps = append(steps, stepSemiSync)
	}
	if s.known.Phase == coord.PhaseFailingOver && s.known.Target == op.To.Name {
		steps = append(steps, stepPark)
	}
	if len(op.Others) > 0 {
		steps = append(steps, stepClose)
	}
	return steps
}

// awayAfter lists the servers that are away once what d says was done: the primary is not, a server that was closed
// because it was writable is, and so are one that an interrupted failover had begun to turn into the primary, because
// its replication was stopped for that, and those that an interrupted operation has not pointed at the primary yet.
func (s state) awayAfter(d verdict, v view) (away []coord.Departure, changed bool) {
	closing := d.Kind == verdictClose // an operation without an end is looked at again when that is done
	if away = s.known.Away; !closing {
		away = without(away, d.Primary.Name)
	}
	changed = len(away) != len(s.known.Away)
	add := func(server, why string) {
		if _, already := s.awayServer(server); already {
			return
		}
		gone := coord.Departure{Server: server, Epoch: d.Epoch, At: s.now, Why: why, Fence: "fenced-proved", WindowMS: -1, SemiSync: s.known.SemiSync}
		if o, ok := v.find(server); ok {
			p, _ := v.find(d.Primary.Name)
			back, circular := p.linkFrom(o)
			gone.Circular, gone.Received = circular, back.AppliedFile.String()
			forward, follows := o.linkFrom(p)
			gone.FilePos, gone.UUID = follows && !forward.UsesGTID || circular && !back.UsesGTID, o.Facts.ServerUUID
		}
		away, changed = append(without(away, server), gone), true
	}
	for _, o := range d.Others {
		add(o, "split")
	}
	if k := s.known; !closing && k.Phase == coord.PhaseFailingOver && k.Target != "" && d.Primary == k.Primary && k.Target != d.Primary.Name {
		add(k.Target, "interrupted")
	}
	for _, name := range s.unfollowed(d.Primary, v) {
		add(name, "interrupted")
	}
	return away, changed
}

func (s state) installPlan(op operation, newRow bool) *plan {
	var steps []stepName
	if !s.schema {
		steps = append(steps, stepSchema)
	}
	if newRow {
		steps = append(steps, stepEpoch)
	}
	p := &plan{kind: planInstall, steps: append(steps, stepSave, stepPublish), op: op}
	if s.plan != nil {
		p.began = s.plan.began // the inspection that it follows from
	}
	return p
}
