package failover

import (
	"fmt"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/topology"
)

// state is everything the machine knows. It is a value: step never changes what it was given.
type state struct {
	// Fixed.
	cluster         string
	limits          Limits
	haveReplication bool

	mode      State
	reasons   []string
	primary   topology.Primary // what the data path was told last
	known     coord.State      // the newest durable state
	haveKnown bool
	epoch     topology.Epoch // the highest epoch this process knows of, stored or not
	booted    bool           // the first inspection is over
	schema    bool           // the schema onewriter exists
	lost      bool           // the primary has been away since it was last seen writable
	stopping  bool
	parked    parking
	sights    []sight
	looked    string // signature of the sights that the last inspection was about
	plan      *plan  // what is being carried out, nil when nothing is; replaced, never modified
	waiting   *inRequest
}

// parking says that an operation could neither be finished nor undone for certain. Clients stay held.
type parking struct {
	why  parkReason
	plan *plan // the operation
}

type parkReason uint8

const (
	notParked     parkReason = iota
	parkedReopen             // the old primary could not be opened again
	parkedPromote            // it is not known whether the candidate was opened
)

// planKind says what a plan is for.
type planKind uint8

const (
	planInspect planKind = iota // load?, inspect, then decide
	planInstall                 // bring a primary into service
	planClose                   // close servers that must not be writable, then inspect
	planSwitchover
	planUndo   // take an unfinished switchover back
	planSettle // find out what became of a promotion
)

var planNames = [...]string{"inspect", "install", "close", "switchover", "undo", "settle"}

func (k planKind) String() string { return planNames[k] }

// plan is a list of steps and how far it has come.
type plan struct {
	kind   planKind
	steps  []stepName
	at     int
	op     operation
	req    Request
	stuck  bool     // a step that has to succeed failed; it is tried again with the next tick
	failed stepName // undo: the step that made it necessary
	why    []string // undo: its reasons
	notes  []string // sentences about what went wrong and is no reason to stop
}

// operation is what the steps of a plan act on.
type operation struct {
	ID       string
	From, To topology.Instance
	Epoch    topology.Epoch // the epoch that the operation ends in
	Others   []string       // close: whom
	Repoint  []string
	SemiSync bool
	FilePos  bool
}

func (p *plan) step() stepName { return p.steps[p.at] }

// next returns p moved on by one step.
func (p *plan) next() *plan {
	q := *p
	q.at++
	q.stuck = false
	return &q
}

// note returns p with one more note.
func (p *plan) note(sentences ...string) *plan {
	q := *p
	q.notes = append(append([]string(nil), p.notes...), sentences...)
	return &q
}

// input is what the machine is fed.
type input interface{ isInput() }

type (
	// inBoot starts the machine.
	inBoot struct{}
	// inSights is what the monitor saw.
	inSights struct{ Sights []sight }
	// inTick comes at regular intervals: what is unclear is looked at again.
	inTick struct{}
	// inRequest asks for a switchover.
	inRequest struct {
		ID  string
		Req Request
	}
	// inStop asks the machine to begin nothing more.
	inStop struct{}
	// inDone reports the end of the step that is being carried out.
	inDone struct {
		Step    stepName
		Outcome stepOutcome
		Reasons []string
		// Stored and Found are the result of load, View that of inspect and precheck.
		Stored coord.State
		Found  bool
		View   view
	}
)

func (inBoot) isInput()    {}
func (inSights) isInput()  {}
func (inTick) isInput()    {}
func (inRequest) isInput() {}
func (inStop) isInput()    {}
func (inDone) isInput()    {}

// action is what the controller has to do: carry out a step, answer a request, or end.
type action interface{ isAction() }

type (
	// actRun carries out one step; exactly one inDone answers it.
	actRun struct {
		Step stepName
		Kind planKind
		Op   operation
		// Save is the state to store (mark, save, unmark); Publish is the value to publish, and in resume the one
		// that is published.
		Save    coord.State
		Publish topology.Primary
	}
	// actReply answers a request.
	actReply struct {
		ID      string
		Outcome replyOutcome
		Op      operation
		Phase   stepName
		Reasons []string
		Notes   []string
		// Blockers are those of the primary, for a dry run.
		Blockers []Blocker
	}
	// actStop ends Run, with an error if a step was denied.
	actStop struct{ Denied bool }
)

func (actRun) isAction()   {}
func (actReply) isAction() {}
func (actStop) isAction()  {}

// replyOutcome sorts the answers to a request.
type replyOutcome uint8

const (
	replyCompleted replyOutcome = iota
	replyDryRun
	replyRefused
	replyAborted
	replyUnresolved
)

var replyNames = [...]string{"completed", "dry_run", "refused", "aborted", "unresolved"}

func (r replyOutcome) String() string { return replyNames[r] }

// step is the machine: given what is known and what has just happened it says what is known now and what to do.
func step(s state, in input) (state, []action) {
	switch in := in.(type) {
	case inBoot:
		return s.begin(&plan{kind: planInspect, steps: []stepName{stepLoad, stepInspect}})
	case inSights:
		s.sights = in.Sights
		return s.look(false)
	case inTick:
		return s.tick()
	case inRequest:
		return s.request(in)
	case inStop:
		s.stopping = true
		if s.plan == nil {
			return s, []action{actStop{}}
		}
		return s, nil
	case inDone:
		return s.done(in)
	default:
		return s, nil
	}
}

// begin starts p.
func (s state) begin(p *plan) (state, []action) {
	s.plan = p
	return s, []action{s.run()}
}

// run is the action for the current step of the plan.
func (s state) run() action {
	p := s.plan
	a := actRun{Step: p.step(), Kind: p.kind, Op: p.op}
	switch a.Step {
	case stepMark:
		a.Save = coord.State{Cluster: s.cluster, Epoch: s.primary.Epoch, Primary: s.primary.Instance, Phase: coord.PhaseSwitching, Target: p.op.To.Name}
	case stepUnmark:
		a.Save = coord.State{Cluster: s.cluster, Epoch: s.primary.Epoch, Primary: s.primary.Instance}
	case stepSave:
		a.Save = coord.State{Cluster: s.cluster, Epoch: p.op.Epoch, Primary: p.op.To}
	case stepPublish:
		a.Publish = topology.Primary{Instance: p.op.To, Epoch: p.op.Epoch}
	case stepResume:
		a.Publish = s.primary
	default:
	}
	return a
}

// request begins a switchover, or refuses it.
func (s state) request(in inRequest) (state, []action) {
	refuse := func(reason ...string) (state, []action) {
		return s, []action{actReply{ID: in.ID, Outcome: replyRefused, Reasons: reason, Op: operation{ID: in.ID}}}
	}
	switch {
	case s.stopping:
		return refuse("Onewriter is being stopped.")
	case s.plan != nil && (s.plan.kind == planSwitchover || s.plan.kind == planUndo || s.plan.kind == planSettle):
		return refuse(fmt.Sprintf("Another operation is in progress: %s, a switchover from %s, in step %s.", s.plan.op.ID, s.plan.op.From.Name, s.plan.step()))
	case s.waiting != nil:
		return refuse("Another switchover has just been requested.")
	case s.plan != nil:
		s.waiting = &in
		return s, nil
	case s.mode != StateRunning:
		return refuse(append([]string{fmt.Sprintf("The state of the cluster is %s.", s.mode)}, s.reasons...)...)
	}
	return s.begin(&plan{
		kind: planSwitchover, steps: []stepName{stepPrecheck}, req: in.Req,
		op: operation{ID: in.ID, From: s.primary.Instance, Epoch: s.epoch + 1},
	})
}

// end drops the plan and takes up what has waited for its end.
func (s state) end(actions ...action) (state, []action) {
	s.plan, s.sights = nil, nil // what was seen while the plan changed things says nothing any more
	if s.stopping {
		return s, append(actions, actStop{})
	}
	if s.waiting != nil {
		in := *s.waiting
		s.waiting = nil
		next, more := s.request(in)
		return next, append(actions, more...)
	}
	return s, actions
}
