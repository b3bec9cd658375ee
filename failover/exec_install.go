package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/failover/rejoin"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

func (e *executor) fenceLimits() fence.Limits {
	l := e.cfg.Limits
	return fence.Limits{Grace: l.FenceGrace, Kill: l.FenceKill, Budget: l.Fence, Settle: l.Settle}
}

// save makes a state durable.
func (e *executor) save(ctx context.Context, a actRun) error {
	s := a.Save
	s.SavedAt = time.Now().UTC()
	defer func() { e.saving = time.Since(s.SavedAt) }()
	return e.cfg.Store.Save(ctx, s)
}

// publish tells the monitor and the data path who the primary is.
func (e *executor) publish(a actRun) error {
	p := a.Publish
	if p.Instance.Known() {
		p.ValidUntil = e.cfg.Lease.ValidUntil()
	} else {
		p = topology.Primary{Epoch: p.Epoch}
	}
	e.cfg.DataPath.Publish(p)
	e.cfg.Monitor.SetPrimary(p)
	return nil
}

// epochRow writes who is primary since which epoch, on the new primary itself; it replicates to the others.
func (e *executor) epochRow(ctx context.Context, a actRun) (err error) {
	s := e.servers[a.Op.To.Name]
	conn, _, err := s.conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	_, err = conn.ExecContext(ctx, `INSERT INTO onewriter.epoch (epoch, primary_name, server_id, decided_at, decider)
VALUES (?, ?, @@server_id, UTC_TIMESTAMP(6), ?)`, uint64(a.Op.Epoch), a.Op.To.Name, e.cfg.Lease.Holder())
	if err != nil {
		return fmt.Errorf("write the row of epoch %d on %s: %w", a.Op.Epoch, a.Op.To.Name, err)
	}
	return nil
}

// close fences the servers that are writable and must not be. What is the primary under another name stays as it is.
func (e *executor) close(ctx context.Context, a actRun, ev evidence) error {
	var errs []error
	for _, name := range a.Op.Others {
		if err := e.spare(ctx, name, a.Op.To.Name); err != nil {
			errs = append(errs, err)
			continue
		}
		s, err := e.returner(ctx, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		report, err := rejoin.Close(ctx, s, e.fenceLimits())
		errs = append(errs, err)
		ev.describeFence(name+" ", report)
	}
	return errors.Join(errs...)
}

// reopen makes the primary writable again: in an undo by the fence's own way back, otherwise against the proof that
// all others are closed.
func (e *executor) reopen(ctx context.Context, a actRun, ev evidence) error {
	if a.Kind == planUndo {
		return e.undoFence(ctx, a)
	}
	if err := e.stopLinksTo(ctx, a.Op.To, a.Op.Left); err != nil {
		return err
	}
	var others []fence.Server
	for _, i := range e.cfg.Servers {
		switch {
		case i == a.Op.To:
			continue
		case slices.Contains(a.Op.Left, i.Name):
			e.closeLeft(ctx, i, ev)
			continue
		}
		s, err := e.servers[i.Name].fencing(ctx)
		if err != nil {
			return err
		}
		if flavor.HasSuperReadOnly(s.Dialect) {
			// A MySQL that starts with read_only=1, as it should, has super_read_only off: close it for privileged
			// accounts too.
			if err := e.close(ctx, actRun{Op: operation{Others: []string{i.Name}}}, ev); err != nil {
				return err
			}
		}
		others = append(others, s)
	}
	proof, err := fence.ProveClosed(ctx, others...)
	if err != nil {
		return err
	}
	ev.add("closed", "%s", proof.Of())
	primary := e.servers[a.Op.To.Name]
	s, err := primary.fencing(ctx)
	if err != nil {
		return err
	}
	conn, _, err := primary.conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(fence.Promote(ctx, proof, s, conn, e.fenceLimits()), conn.Close())
}

// closeLeft closes a server that was left behind, if it answers at once. The primary does not wait for it: it was away
// before, and whatever it has is known and accepted.
func (e *executor) closeLeft(ctx context.Context, i topology.Instance, ev evidence) {
	short, cancel := context.WithTimeout(ctx, hopeless)
	defer cancel()
	if err := e.close(short, actRun{Op: operation{Others: []string{i.Name}}}, ev); err != nil {
		ev.add(i.Name, "was left behind and was not closed: %v", err)
	}
}

// stopLinksTo stops the links by which the server that is to be opened would fetch what only servers have that were left
// behind: links start by themselves when their server does.
func (e *executor) stopLinksTo(ctx context.Context, to topology.Instance, left []string) (err error) {
	if len(left) == 0 {
		return nil
	}
	conn, d, err := e.servers[to.Name].conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	facts, err := d.Observe(ctx, conn)
	if err != nil {
		return fmt.Errorf("observe %s: %w", to.Name, err)
	}
	for _, i := range e.cfg.Servers {
		l, ok := linkTo(facts.Links, i, e.servers[i.Name])
		if !ok || !slices.Contains(left, i.Name) || l.IO == topology.ThreadNo && l.SQL == topology.ThreadNo {
			continue
		}
		if err := d.StopReplica(ctx, conn, l.Channel, flavor.BothThreads); err != nil {
			return fmt.Errorf("stop the link of %s to %s: %w", to.Name, i.Name, err)
		}
	}
	return nil
}

// undoFence brings the old primary back after a switchover that did not get as far as promoting.
func (e *executor) undoFence(ctx context.Context, a actRun) error {
	r := e.run
	if r == nil || r.attempt == nil {
		return fmt.Errorf("nothing is known of a fence of %s", a.Op.From.Name)
	}
	if r.semiOn {
		if err := e.semiSync(ctx, a.Op.To.Name, false); err != nil {
			return &stepError{outcome: outcomeUnknown, err: err}
		}
		r.semiOn = false
	}
	if err := r.attempt.Reopen(ctx); err != nil {
		return &stepError{outcome: outcomeUnknown, err: err}
	}
	return nil
}

// describeFence notes a fence's report.
func (ev evidence) describeFence(prefix string, r fence.Report) {
	ev.add(prefix+"fencer", "connection %d, %d tries, settled %t", r.Fencer, r.Tries, r.Settled)
	for _, k := range r.Refused {
		ev.add(fmt.Sprintf("%snot killed %d", prefix, k.ID), "%s@%s: %s", k.User, k.Host, k.Why)
	}
	for i, k := range r.Killed {
		if i == 50 {
			ev.add(prefix+"killed more", "%d", len(r.Killed)-i)
			return
		}
		ev.add(fmt.Sprintf("%skilled %d", prefix, k.ID), "%s@%s: %s", k.User, k.Host, k.Why)
	}
}
