package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// prepare opens every connection that the pause will need, while clients still write. A candidate whose source side of
// semi-sync was left on, and is not wanted from the promotion on, would keep its first commits waiting for nobody.
func (e *executor) prepare(ctx context.Context, a actRun) error {
	if e.stopFollower != nil {
		e.stopFollower()
		e.stopFollower = nil
	}
	e.dropRun()
	r := &run{from: e.servers[a.Op.From.Name], to: e.servers[a.Op.To.Name]}
	e.run = r
	s, err := r.from.fencing(ctx)
	if err != nil {
		return err
	}
	if r.attempt, err = fence.New(ctx, s, e.fenceLimits()); err != nil {
		return err
	}
	if r.a, r.old, err = r.from.conn(ctx); err != nil {
		return err
	}
	if r.b, r.new, err = r.to.conn(ctx); err != nil {
		return err
	}
	if !semiSyncFromTheStart(a.Op) {
		if err := e.semiSync(ctx, a.Op.To.Name, false); err != nil {
			return err
		}
	}
	if a.Op.FilePos {
		r.period, err = flavor.SharpenPositions(ctx, r.b, r.new)
	}
	return err
}

// pause holds all clients. The heartbeat write stops first: the control account may be allowed to write in spite of
// read_only, and nothing may be written after the fence.
func (e *executor) pause(a actRun) error {
	e.cfg.Monitor.SetPrimary(topology.Primary{})
	e.cfg.DataPath.Hold(holdReason(a.Op.From.Name, a.Op.To.Name))
	e.run.heldAt = time.Now()
	e.cfg.DataPath.Throttle(0)
	return nil
}

// drain lets open transactions finish and ends those that do not.
func (e *executor) drain(ctx context.Context, a actRun, ev evidence) error {
	bounded, cancel := context.WithTimeout(ctx, e.cfg.Limits.Drain)
	defer cancel()
	open := e.cfg.DataPath.Drain(bounded)
	ev.add("open", "%d", open)
	if open == 0 {
		return nil
	}
	closed := e.cfg.DataPath.CloseOpen(&DrainError{From: a.Op.From.Name, To: a.Op.To.Name, Limit: e.cfg.Limits.Drain})
	e.run.closed = append(e.run.closed, closed...)
	ev.add("closed", "%d", len(closed))
	return nil
}

// fence closes the old primary.
func (e *executor) fence(ctx context.Context, ev evidence) (err error) {
	if e.cfg.WatchdogDisarm != nil {
		if err := e.cfg.WatchdogDisarm(ctx); err != nil { // it is about to be closed anyway
			ev.add("watchdog", "not disarmed: %v", err)
		}
	}
	e.run.proof, err = e.run.attempt.Close(ctx)
	ev.describeFence("", e.run.attempt.Report())
	return err
}

// readTarget reads the final position of the old primary.
func (e *executor) readTarget(ctx context.Context, a actRun, ev evidence) (err error) {
	r := e.run
	d := r.old
	if a.Op.FilePos || len(a.Op.Repoint) > 0 {
		if r.binlogA, err = d.BinlogPosition(ctx, r.a); err != nil {
			return fmt.Errorf("read the position of the binary log of %s: %w", a.Op.From.Name, err)
		}
	}
	r.target = r.binlogA
	if !a.Op.FilePos {
		if r.target, err = d.Position(ctx, r.a); err != nil {
			return fmt.Errorf("read the position of %s: %w", a.Op.From.Name, err)
		}
	}
	if a.Op.FilePos { // the histories are compared as well, where the servers keep GTIDs all the same
		if r.history, err = d.Position(ctx, r.a); err != nil {
			return fmt.Errorf("read the position of %s: %w", a.Op.From.Name, err)
		}
	}
	if !r.target.Known() {
		return fmt.Errorf("%s has no position: is its binary log on?", a.Op.From.Name)
	}
	ev.add("target", "%s", r.target)
	return nil
}

// wait waits until the candidate has everything.
func (e *executor) wait(ctx context.Context) error {
	r := e.run
	if err := r.new.Wait(ctx, r.b, r.target); err != nil {
		return fmt.Errorf("wait until %s has applied %s: %w", r.to.instance.Name, r.target, err)
	}
	return nil
}

// verify looks at both servers once more: the old primary is closed and has not moved since, the candidate is closed
// and has exactly the same.
func (e *executor) verify(ctx context.Context, a actRun, ev evidence) error {
	r := e.run
	from, to := a.Op.From.Name, a.Op.To.Name
	facts, err := r.new.Observe(ctx, r.b)
	if err != nil {
		return fmt.Errorf("observe %s: %w", to, err)
	}
	if !facts.ReadOnly {
		return fmt.Errorf("%s is writable already", to)
	}
	if a.Op.FilePos {
		applied, err := r.new.Applied(ctx, r.b, r.target)
		if err != nil {
			return fmt.Errorf("compare %s with %s: %w", to, from, err)
		}
		if !applied {
			return fmt.Errorf("%s has not applied exactly up to %s", to, r.target)
		}
		rel := gtid.Relate(facts.Position, r.history)
		if facts.GTID && facts.LogsUpdates && (rel == gtid.Ahead || rel == gtid.Diverged) {
			return fmt.Errorf("the history of %s is %s: it has %s, %s has %s", to, rel, facts.Position, from, r.history)
		}
	} else if rel := gtid.Relate(facts.Position, r.target); rel != gtid.Equal {
		return fmt.Errorf("the history of %s is %s: it has %s, %s has %s", to, rel, facts.Position, from, r.target)
	}
	ev.add("candidate", "%s", facts.Position)
	return e.verifyOld(ctx, a)
}

func (e *executor) verifyOld(ctx context.Context, a actRun) error {
	r := e.run
	from := a.Op.From.Name
	readOnly, super, err := r.old.ReadOnly(ctx, r.a)
	if err != nil {
		return fmt.Errorf("read the flags of %s: %w", from, err)
	}
	if !readOnly || (flavor.HasSuperReadOnly(r.old) && !super) {
		return fmt.Errorf("%s was opened again by somebody else", from)
	}
	now, err := r.old.Position(ctx, r.a)
	if a.Op.FilePos {
		now, err = r.old.BinlogPosition(ctx, r.a)
	}
	if err != nil {
		return fmt.Errorf("read the position of %s again: %w", from, err)
	}
	if !now.Equal(r.target) {
		return fmt.Errorf("%s moved from %s to %s although it is closed: an account that may write in spite of read_only is at work", from, r.target, now)
	}
	return nil
}

// semiSyncFromTheStart reports whether the source side of the new primary is switched on before it is opened.
func semiSyncFromTheStart(op operation) bool {
	return op.SemiSync && len(op.Repoint) == 0 && !op.failover()
}

// promote opens the candidate: the point of no return. Where the old primary already follows it, semi-sync is
// switched on before, so that not even the first transaction is acknowledged by one server alone.
func (e *executor) promote(ctx context.Context, a actRun, ev evidence) error {
	r := e.run
	if semiSyncFromTheStart(a.Op) {
		r.semiOn = true
		if err := e.semiSync(ctx, a.Op.To.Name, true); err != nil {
			return err
		}
	}
	if len(a.Op.Repoint) > 0 {
		var err error
		if r.binlogB, err = r.new.BinlogPosition(ctx, r.b); err != nil {
			return fmt.Errorf("read the position of the binary log of %s: %w", a.Op.To.Name, err)
		}
		ev.add("new binlog", "%s", r.binlogB)
	}
	s, err := r.to.fencing(ctx)
	if err != nil {
		return err
	}
	return fence.Promote(ctx, r.proof, s, r.b, e.fenceLimits())
}

// settle finds out what became of a promotion whose answer was lost.
func (e *executor) settle(ctx context.Context) error {
	r := e.run
	s, err := r.to.fencing(ctx)
	if err != nil {
		return &stepError{outcome: outcomeUnknown, err: err}
	}
	opened, err := fence.Settle(ctx, r.proof, s, e.fenceLimits())
	switch {
	case err != nil:
		return &stepError{outcome: outcomeUnknown, err: err}
	case !opened:
		return fmt.Errorf("%s was not opened", r.to.instance.Name)
	default:
		return nil
	}
}

// resume lets the clients go on, and the heartbeat write too where the role has not moved.
func (e *executor) resume(a actRun, ev evidence) error {
	e.cfg.DataPath.Throttle(0)
	e.cfg.Monitor.SetPrimary(a.Publish)
	r := e.run
	if r != nil && !r.heldAt.IsZero() {
		r.pause = time.Since(r.heldAt)
	}
	report := e.cfg.DataPath.Resume()
	if r != nil {
		r.moved = report.Moved
		r.closed = append(r.closed, report.Closed...)
		e.blunt(r)
	}
	ev.add("moved", "%d", report.Moved)
	ev.add("longest hold", "%s", report.LongestHold)
	return nil
}

// semiSync switches the source side of semi-synchronous replication.
func (e *executor) semiSync(ctx context.Context, name string, on bool) (err error) {
	conn, d, err := e.servers[name].conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := d.SetSemiSyncSource(ctx, conn, on); err != nil {
		return fmt.Errorf("switch the source side of semi-sync on %s to %t: %w", name, on, err)
	}
	return nil
}
