package failover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// executor carries out one step at a time. It belongs to one goroutine; follow alone runs beside it.
type executor struct {
	cfg     Config
	servers map[string]*server

	run    *run          // the operation in progress or parked, or the last one
	semi   peeked        // what was last seen of the primary's semi-sync settings
	back   comebackRun   // the return in progress or the last one
	seen   view          // the last precheck
	saving time.Duration // how long the last durable save took
	denied error         // the *SetupError of a schema that may not be created, or of another right that is missing
	let    bool          // an inspection has found no right missing

	followers    sync.WaitGroup
	stopFollower context.CancelFunc
	gated        atomic.Pointer[time.Time] // since when clients wait because the primary is in doubt, nil when they do not
	report       func(Event)               // where a follower tells what it saw; safe for concurrent use
}

// run is what the steps of one switchover hand on to each other.
type run struct {
	from, to *server
	old, new flavor.Dialect // of from and to
	attempt  *fence.Attempt // the fence of from
	proof    *fence.Proof
	a, b     *sql.Conn     // ready connections to from and to
	target   gtid.Position // of from, after the fence
	history  gtid.Position // of from at that time by GTID, where the target is file and position
	binlogA  gtid.Position // from's own binary log at that time
	binlogB  gtid.Position // to's own binary log while it was still closed
	period   int           // the candidate's applier checkpoint period to restore, 0 for none
	semiOn   bool          // the source side of semi-sync was switched on at to
	heldAt   time.Time     // when Hold returned
	pause    time.Duration
	moved    int
	closed   []topology.ClosedSession
	channel  string // failover: the link of to that comes from from
	linked   bool   // failover: there is one
	deaf     bool   // failover: its receiver was stopped
	short    bool   // failover: the target was given up, by order of an operator
}

// done is the result of a step: what the machine is told, and what the journal gets.
type done struct {
	inDone
	Took     time.Duration
	Evidence map[string]string
}

// stepError is a failure that says more than that.
type stepError struct {
	outcome stepOutcome
	err     error
}

func (e *stepError) Error() string { return e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// evidence collects what a step saw, for the journal.
type evidence map[string]string

func (ev evidence) add(key, format string, args ...any) { ev[key] = fmt.Sprintf(format, args...) }

// do carries out one step. It asks the lease immediately before.
func (e *executor) do(ctx context.Context, a actRun) done {
	begun := time.Now()
	out := done{inDone: inDone{Step: a.Step}, Evidence: map[string]string{}}
	err := e.guard(a, "before")
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, e.deadline(a.Step))
		err = e.carryOut(bounded, a, &out)
		cancel()
	}
	if err == nil {
		err = e.guard(a, "after")
	}
	out.Took = time.Since(begun)
	if err != nil {
		out.Outcome, out.Reasons = judgeError(a, err)
	}
	return out
}

// errNoLease means that this process has lost the right to act.
var errNoLease = errors.New("this process does not hold the right to act on the cluster any more")

// guard asks the lease, and the hook of the tests.
func (e *executor) guard(a actRun, when string) error {
	if when == "before" && !dataPathOnly(a) && !e.cfg.Lease.Valid(time.Now()) {
		return errNoLease
	}
	if e.cfg.hook == nil {
		return nil
	}
	err := e.cfg.hook(string(a.Step) + ":" + when)
	if err != nil && when == "after" && (a.Step == stepPromote || a.Step == stepReopen) {
		return &stepError{outcome: outcomeUnknown, err: err}
	}
	return err
}

// dataPathOnly reports whether the step touches no server and opens nothing.
func dataPathOnly(a actRun) bool {
	switch a.Step {
	case stepResume, stepDrain, stepPause, stepLoad, stepCutoff:
		return true
	case stepPublish:
		return !a.Publish.Instance.Known()
	default:
		return false
	}
}

// deadline bounds each step as a whole.
func (e *executor) deadline(s stepName) time.Duration {
	l := e.cfg.Limits
	switch s {
	case stepThrottle:
		return l.Throttle + 2*l.Statement
	case stepDrain:
		return l.Drain + l.Statement
	case stepFence, stepClose:
		return time.Duration(len(e.cfg.Servers)) * (l.Fence + 2*l.Settle + l.Statement)
	case stepReopen:
		return l.Fence + 2*l.Settle + l.Statement
	case stepSettle, stepPromote:
		return 2*l.Settle + l.Statement
	case stepWait:
		return l.Catchup
	case stepRepoint:
		return time.Duration(len(e.cfg.Servers)) * l.Repoint
	case stepInspect, stepPrecheck, stepSchema, stepVerify, stepAssess, stepQuarantine:
		return 3 * l.Statement
	case stepFenceOld:
		return hopeless + l.Fence + 3*l.Settle + 3*l.Statement + max(e.cfg.FenceCommand.Timeout, fence.DefaultCommandTimeout) + e.cfg.Watchdog + 2*longestWait
	case stepSilence, stepDetach, stepPark, stepReconnect, stepMend:
		return 5 * l.Statement // stopping a replica waits for the transaction that is being applied
	case stepApply:
		return l.Backlog
	case stepJudge, stepRewind, stepReattach, stepRelink, stepDiscard:
		return l.Return
	case stepRebuild:
		return l.Rebuild
	default:
		return l.Statement
	}
}

// judgeError turns an error into an outcome and a sentence.
func judgeError(a actRun, err error) (stepOutcome, []string) {
	outcome := outcomeFailed
	var se *stepError
	var setup *SetupError
	switch {
	case errors.As(err, &se):
		outcome = se.outcome
	case errors.As(err, &setup):
		outcome = outcomeDenied
	case errors.Is(err, fence.ErrUncertain) && (a.Step == stepPromote || a.Step == stepReopen || a.Step == stepSettle):
		outcome = outcomeUnknown
	}
	return outcome, []string{fmt.Sprintf("Step %s failed: %v.", a.Step, err)}
}

// carryOut dispatches to the step's function.
func (e *executor) carryOut(ctx context.Context, a actRun, out *done) error {
	ev := evidence(out.Evidence)
	switch a.Step {
	case stepLoad:
		var err error
		out.Stored, out.Found, err = e.cfg.Store.Load(ctx)
		return err
	case stepInspect:
		e.semi = peeked{} // the primary may have restarted
		out.View = e.inspect(ctx, "")
		ev.describe(out.View)
		return e.admitted(out.View)
	case stepPrecheck:
		out.View = e.inspect(ctx, a.Op.From.Name)
		e.seen = out.View
		ev.describe(out.View)
		return nil
	case stepMark, stepUnmark, stepSave, stepNote, stepKeep:
		return e.save(ctx, a)
	case stepPeek:
		err := e.peek(ctx, a)
		out.SemiSync = e.semiSyncWas(a.Op.To).Source
		return err
	case stepPublish:
		return e.publish(a)
	case stepClose:
		return e.close(ctx, a, ev)
	case stepReopen:
		return e.reopen(ctx, a, ev)
	case stepSchema:
		return e.schema(ctx, a, ev)
	case stepEpoch:
		return e.epochRow(ctx, a)
	case stepSettle, stepThrottle, stepPause, stepDrain, stepFence, stepTarget, stepWait, stepVerify, stepPromote,
		stepRepoint, stepSemiSync, stepResume, stepDemote, stepFollow:
		return e.carryOutSwitch(ctx, a, out)
	case stepAssess, stepCutoff, stepFenceOld, stepSilence, stepApply, stepWeigh, stepDetach, stepPark, stepReconnect:
		return e.carryOutFailover(ctx, a, out)
	case stepMend:
		return e.mend(ctx, a, ev)
	case stepQuarantine, stepJudge, stepRewind, stepRebuild, stepDiscard, stepReattach, stepRelink:
		return e.carryOutReturn(ctx, a, out)
	default:
		return fmt.Errorf("unknown step %q", a.Step)
	}
}

func (e *executor) carryOutSwitch(ctx context.Context, a actRun, out *done) error {
	ev := evidence(out.Evidence)
	switch a.Step {
	case stepThrottle:
		if err := e.prepare(ctx, a); err != nil {
			return err
		}
		return e.throttle(ctx, a, ev)
	case stepPause:
		return e.pause(a)
	case stepDrain:
		return e.drain(ctx, a, ev)
	case stepFence:
		return e.fence(ctx, ev)
	case stepTarget:
		return e.readTarget(ctx, a, ev)
	case stepWait:
		return e.wait(ctx)
	case stepVerify:
		return e.verify(ctx, a, ev)
	case stepPromote:
		err := e.promote(ctx, a, ev)
		out.Gone = e.run.places(a)
		return err
	case stepSettle:
		err := e.settle(ctx)
		out.Gone = e.run.places(a)
		return err
	case stepRepoint:
		return e.repoint(ctx, a, out)
	case stepSemiSync:
		return e.semiSync(ctx, a.Op.To.Name, true)
	case stepDemote:
		return e.semiSync(ctx, a.Op.From.Name, false)
	case stepResume:
		return e.resume(a, ev)
	case stepFollow:
		return e.follow(ctx, a)
	default:
		return fmt.Errorf("unknown step %q", a.Step)
	}
}

// describe notes what an inspection found, one entry per server.
func (ev evidence) describe(v view) {
	for _, s := range v {
		switch {
		case !s.ok():
			ev.add(s.Instance.Name, "no answer: %s", s.Err)
		case s.Twin != "":
			ev.add(s.Instance.Name, "the same server as %s, at %s", s.Twin, s.Facts.Position)
		case s.writable():
			ev.add(s.Instance.Name, "writable, epoch row %d, at %s", s.Row.Epoch, s.Facts.Position)
		default:
			ev.add(s.Instance.Name, "read_only, epoch row %d, at %s", s.Row.Epoch, s.Facts.Position)
		}
	}
}

// blunt gives the candidate's applier its checkpoint period back. It has been reset to make positions exact in time;
// leaving it short costs little, so a failure is only noted.
func (e *executor) blunt(r *run) {
	if r.period == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Limits.Statement)
	defer cancel()
	if err := flavor.RestorePositions(ctx, r.to.db, r.period); err != nil {
		e.cfg.Logger.Warn().Err(err).Str("server", r.to.instance.Name).Int("replica_checkpoint_period", r.period).Msg("setting not restored")
	}
	r.period = 0
}

// dropRun releases what a switchover held.
func (e *executor) dropRun() {
	r := e.run
	e.run = nil
	if r == nil {
		return
	}
	e.blunt(r)
	if r.attempt != nil {
		r.attempt.Release()
	}
	for _, c := range []*sql.Conn{r.a, r.b} {
		if c != nil {
			_ = c.Close() // goes back to the pool, or is broken already
		}
	}
}

// shutdown ends the executor's goroutines and connections.
func (e *executor) shutdown() error {
	if e.stopFollower != nil {
		e.stopFollower()
	}
	e.followers.Wait()
	e.dropRun()
	return closeServers(e.servers)
}
