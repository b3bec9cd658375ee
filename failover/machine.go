package failover

import (
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/topology"
)

// state is everything the machine knows. It is a value: step never changes what it was given.
type state struct {
	// Fixed.
	cluster         string
	limits          Limits
	policy          Policy
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
	proved    time.Time      // when that look, or what opened it, began
	stopping  bool
	parked    parking
	sights    []sight
	looked    string // signature of the sights that the last inspection was about
	plan      *plan  // what is being carried out, nil when nothing is; replaced, never modified
	waiting   input  // a request that came while an inspection was going on, nil when there is none

	now      time.Time      // of the newest input that told the time
	verdict  detect.Verdict // the newest, about the primary
	findings []string       // critical doctor findings
	lapsed   bool           // the primary was closed by its watchdog
	held     bool           // clients are held because the primary is in doubt
	retry    time.Time      // no failover by itself before
	vetoed   []string       // why the last one was given up; it is not tried again before the primary was seen well
	doubted  detect.Kind    // the verdict that the reasons are about
	backs    []comeback     // how far the servers that were away have come; replaced, never modified
	peek     time.Time      // when the primary's semi-sync settings are read next
	// awayTrouble says what went wrong last when a server that was away was brought back.
	awayTrouble  []string
	awayTroubled string    // the server that this is about
	twins        []string  // what the last inspection said of names that lead to one server; replaced, never modified
	mends        []mending // the standbys whose replication is started again; replaced, never modified
	unsure       []doubt   // the servers whose replication we may have stopped without knowing it; replaced, never modified
	waits        bool      // commits were seen to wait for acknowledgements since the primary was published or away
	unparked     bool      // the links to servers that are away could not be kept from starting by themselves yet
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
	planFailover
	planRetreat // take an unfinished failover back
	planReturn  // judge a server that came back, and bring it back
	planRelink  // the last steps of that, when it has caught up
	planPeek    // read what must be known of the primary before it dies
	planAbandon // leave a server behind that may have been opened and does not come back
	planMend    // start the replication of a standby again that nobody has stopped on purpose
)

var planNames = [...]string{"inspect", "install", "close", "switchover", "undo", "settle", "failover", "retreat", "return", "relink", "peek", "abandon", "mend"}

func (k planKind) String() string { return planNames[k] }

// plan is a list of steps and how far it has come.
type plan struct {
	kind   planKind
	began  time.Time
	steps  []stepName
	at     int
	op     operation
	req    Request
	stuck  bool     // a step that has to succeed failed; it is tried again with the next tick
	failed stepName // undo: the step that made it necessary
	why    []string // undo: its reasons
	notes  []string // sentences about what went wrong and is no reason to stop

	failover FailoverRequest // of a failover
	auto     bool            // nobody asked for it
	rejoin   RejoinRequest   // of a return
	away     []coord.Departure
	setAway  bool // away is what shall be stored

	abandoned *plan // abandon: the parked operation

	cancelled bool  // the step in progress was told to end
	semiSync  *bool // what shall be stored about semi-sync, nil to leave that as it is
}

// operation is what the steps of a plan act on.
type operation struct {
	ID       string
	From, To topology.Instance
	Epoch    topology.Epoch // the epoch that the operation ends in
	Others   []string       // close: whom
	Left     []string       // reopen, switchover: the servers that are away
	Repoint  []string
	SemiSync bool
	FilePos  bool
	// Of a failover: what was the matter, what the new primary is known to lack, and the server that is left behind.
	Cause  detect.Kind
	Server string // return, relink, mend: the server
	Method string // return: see RejoinRequest
	Gone   coord.Departure
	Force  bool
}

func (p *plan) step() stepName { return p.steps[p.at] }

// onlyLooked reports whether the plan has changed nothing on any server so far.
func (p *plan) onlyLooked() bool {
	switch p.kind {
	case planInspect, planPeek:
		return true
	case planSwitchover, planFailover:
		return p.at == 0
	case planInstall, planClose, planUndo, planSettle, planRetreat, planReturn, planRelink, planAbandon, planMend:
		return false
	default:
		return false
	}
}

// next returns p moved on by one step.
func (p *plan) next() *plan {
	q := *p
	q.at++
	q.stuck, q.cancelled = false, false
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
	// inSights is what the monitor saw, what it means for the primary, and what the doctor objects to.
	inSights struct {
		Sights   []sight
		Verdict  detect.Verdict
		Findings []string
		Lapsed   bool // the primary was closed by its watchdog
		Now      time.Time
	}
	// inTick comes at regular intervals: what is unclear is looked at again.
	inTick struct{ Now time.Time }
	// inRequest asks for a switchover.
	inRequest struct {
		ID  string
		Req Request
	}
	// inFailover asks for an unplanned failover.
	inFailover struct {
		ID  string
		Req FailoverRequest
		Now time.Time
		// unsettled: it has waited for an attempt to find out what became of a promotion.
		unsettled bool
	}
	// inRejoin asks to bring a server back.
	inRejoin struct {
		ID  string
		Req RejoinRequest
		Now time.Time
	}
	// inStop asks the machine to begin nothing more.
	inStop struct{}
	// inDone reports the end of the step that is being carried out.
	inDone struct {
		Step    stepName
		Outcome stepOutcome
		Reasons []string
		// Stored and Found are the result of load, View that of inspect, precheck and assess.
		Stored coord.State
		Found  bool
		View   view
		// Gone is what weigh and detach found out about what is left behind; it completes the operation's.
		Gone coord.Departure
		// Repointed are, after a repoint that failed in part, the servers that certainly follow the new primary.
		Repointed []string
		// SemiSync is the result of peek: the primary waits for acknowledgements.
		SemiSync bool
		// Judged is the result of judge.
		Judged judged
		Now    time.Time
	}
)

func (inBoot) isInput()     {}
func (inSights) isInput()   {}
func (inTick) isInput()     {}
func (inRequest) isInput()  {}
func (inFailover) isInput() {}
func (inRejoin) isInput()   {}
func (inStop) isInput()     {}
func (inDone) isInput()     {}

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
	// actGate makes clients wait, or lets them go on.
	actGate struct {
		Hold   bool
		Reason string
	}
	// actCancel ends the step that is being carried out as soon as it can be: something more important has to be done.
	actCancel struct{}
	// actStop ends Run, with an error if a step was denied.
	actStop struct{ Denied bool }
)

func (actRun) isAction()    {}
func (actReply) isAction()  {}
func (actGate) isAction()   {}
func (actCancel) isAction() {}
func (actStop) isAction()   {}

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
	next, actions := s.take(in)
	next.waits = next.waits && !next.lost
	return next.gated(actions)
}

func (s state) take(in input) (state, []action) {
	switch in := in.(type) {
	case inBoot:
		return s.begin(&plan{kind: planInspect, steps: []stepName{stepLoad, stepInspect}})
	case inSights:
		s.sights, s.verdict, s.findings, s.lapsed = in.Sights, in.Verdict, in.Findings, in.Lapsed
		s = s.at(in.Now)
		return s.look(false)
	case inTick:
		return s.at(in.Now).tick()
	case inRequest:
		return s.request(in)
	case inFailover:
		return s.at(in.Now).requestFailover(in)
	case inRejoin:
		return s.at(in.Now).requestRejoin(in)
	case inStop:
		s.stopping = true
		if s.plan == nil {
			return s, []action{actStop{}}
		}
		return s, nil
	case inDone:
		return s.at(in.Now).done(in)
	default:
		return s, nil
	}
}

// at notes the time, where it is told.
func (s state) at(now time.Time) state {
	if now.After(s.now) {
		s.now = now
	}
	return s
}

// begin starts p.
func (s state) begin(p *plan) (state, []action) {
	if p.began.IsZero() {
		p.began = s.now
	}
	s.plan = p
	return s, []action{s.run()}
}

// run is the action for the current step of the plan.
func (s state) run() action {
	p := s.plan
	a := actRun{Step: p.step(), Kind: p.kind, Op: p.op}
	switch a.Step {
	case stepMark, stepUnmark, stepSave, stepNote, stepKeep:
		a.Save = s.saving()
	case stepCutoff: // the same epoch, because that is published again if the failover is taken back
		a.Publish = topology.Primary{Epoch: s.primary.Epoch}
	case stepPublish:
		a.Publish = topology.Primary{Instance: p.op.To, Epoch: p.op.Epoch}
	case stepResume:
		a.Publish = s.primary
	default:
	}
	return a
}

// end drops the plan and takes up what has waited for its end.
func (s state) end(actions ...action) (state, []action) {
	if !s.plan.onlyLooked() {
		s.sights = nil // what was seen while the plan changed things says nothing any more
	}
	s.plan = nil
	if s.stopping {
		return s, append(actions, actStop{})
	}
	if s.waiting != nil {
		in := s.waiting
		s.waiting = nil
		next, more := s.take(in)
		return next, append(actions, more...)
	}
	return s, actions
}
