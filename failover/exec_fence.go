package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
)

// hopeless is how long a server that has not answered for seconds is waited for once more.
const hopeless = 300 * time.Millisecond

// fenceOld closes the old primary if it can be reached after all; then it has a final position and nothing is lost.
// Otherwise the strongest other means is taken, and what was achieved is part of the proof.
func (e *executor) fenceOld(ctx context.Context, a actRun, ev evidence) error {
	means := []struct {
		name string
		try  func(context.Context, actRun) (*fence.Proof, error)
	}{
		{"close", e.closeOld}, {"death", e.proveDead}, {"semi-sync", e.proveSilenced}, {"command", e.runCommand}, {"watchdog", e.outlived},
	}
	var errs []error
	reached := false // and not certainly closed
	for _, m := range means {
		proof, err := m.try(ctx, a)
		if err == nil && proof != nil {
			e.run.proof = proof
			ev.add("fence", "%s", proof.Kind())
			for i, line := range proof.Evidence() {
				ev.add(fmt.Sprintf("fence %d", i+1), "%s", line)
			}
			return nil
		}
		if err != nil {
			ev.add(m.name, "%v", err)
			errs = append(errs, err)
			reached = reached || errors.Is(err, fence.ErrNotClosed) || errors.Is(err, fence.ErrUncertain)
		}
	}
	if reached && !a.Op.Force {
		return fmt.Errorf("%s was reached and could not be closed: %w", a.Op.From.Name, errors.Join(errs...))
	}
	if e.cfg.Policy.RequireFence && !a.Op.Force {
		return fmt.Errorf("%s could not be fenced and failover.require_fence is set: %w", a.Op.From.Name, errors.Join(errs...))
	}
	e.run.proof = fence.Unfenced(a.Op.From.Name, "No means of fencing it succeeded, and the policy or the operator allows to go on: no client gets to it through Onewriter.")
	ev.add("fence", "%s", e.run.proof.Kind())
	return nil
}

// closeOld makes the old primary read-only if it can be reached after all.
func (e *executor) closeOld(ctx context.Context, a actRun) (*fence.Proof, error) {
	r := e.run
	short, cancel := context.WithTimeout(ctx, hopeless)
	defer cancel()
	s, err := r.from.fencing(short)
	if err != nil {
		return nil, err
	}
	if r.attempt, err = fence.New(short, s, e.fenceLimits()); err != nil {
		return nil, err
	}
	proof, err := r.attempt.Close(ctx)
	if err != nil {
		return nil, err
	}
	bounded, cancelRead := context.WithTimeout(ctx, e.cfg.Limits.Statement)
	defer cancelRead()
	if r.a, r.old, err = r.from.conn(bounded); err == nil {
		if err = e.readTarget(bounded, a, evidence{}); err != nil {
			r.target = gtid.Position{} // it went away again: go on with what the candidate has
		}
	}
	return proof, nil
}

func (e *executor) proveDead(ctx context.Context, a actRun) (*fence.Proof, error) {
	if a.Op.Cause == detect.Unreachable {
		return nil, nil //nolint:nilnil // not by this means
	}
	var witnesses []fence.Server
	for _, i := range e.cfg.Servers {
		if i == a.Op.From {
			continue
		}
		short, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
		if s, err := e.servers[i.Name].fencing(short); err == nil {
			witnesses = append(witnesses, s)
		}
		cancel()
	}
	return fence.ProveDead(ctx, a.Op.From.Address, e.run.from.serverID(), witnesses)
}

// proveSilenced stops the receiver of the only server that acknowledges for the old primary.
func (e *executor) proveSilenced(ctx context.Context, a actRun) (*fence.Proof, error) {
	was := e.semiSyncWas(a.Op.From)
	if !was.Source || len(e.cfg.Servers) != 2 {
		return nil, nil //nolint:nilnil // not by this means
	}
	s, err := e.run.to.fencing(ctx)
	if err != nil {
		return nil, err
	}
	link, err := e.candidateLink(ctx, a)
	if err != nil {
		return nil, err
	}
	e.run.channel, e.run.linked = link.Channel, true // an undo starts it again
	return fence.ProveSilenced(ctx, s, link.Channel, was, e.semi.standby)
}

func (e *executor) runCommand(ctx context.Context, a actRun) (*fence.Proof, error) {
	if len(e.cfg.FenceCommand.Argv) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	return fence.RunCommand(ctx, e.cfg.FenceCommand, map[string]string{
		"ONEWRITER_CLUSTER": e.cfg.Cluster, "ONEWRITER_SERVER": a.Op.From.Name, "ONEWRITER_ADDRESS": a.Op.From.Address,
		"ONEWRITER_CANDIDATE": a.Op.To.Name, "ONEWRITER_EPOCH": fmt.Sprint(a.Op.Epoch), "ONEWRITER_VERDICT": a.Op.Cause.String(),
	}, a.Op.From.Name)
}

// longestWait is the longest time-out of semi-sync that is waited for after the watchdog must have fired.
const longestWait = 30 * time.Second

// closesAfter is how long after its last renewal the watchdog has closed a server whose semi-sync was as given. It cannot
// as long as a commit waits for an acknowledgement, and those that wait are acknowledged to their clients when the
// time-out is over: by a clock that is up to a tenth slower than ours, and up to a second before the next try.
func closesAfter(watchdog time.Duration, was flavor.SemiSync) (time.Duration, error) {
	switch {
	case !was.Source:
		return watchdog, nil
	case was.Timeout > longestWait:
		return 0, fmt.Errorf("commits that wait for an acknowledgement (semi-sync, time-out %s) keep the watchdog from closing it", was.Timeout)
	default:
		return watchdog + was.Timeout + was.Timeout/10 + time.Second, nil
	}
}

// outlived waits until the old primary's own watchdog must have closed it.
func (e *executor) outlived(ctx context.Context, a actRun) (*fence.Proof, error) {
	if e.cfg.Watchdog == 0 || e.cfg.WatchdogRenewed == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	renewed := e.cfg.WatchdogRenewed(a.Op.From.Name)
	if renewed.IsZero() {
		return nil, fmt.Errorf("the watchdog of %s was never renewed by this process", a.Op.From.Name)
	}
	if a.Op.SemiSync && e.semi.server != a.Op.From.Name {
		return nil, fmt.Errorf("it is not known how long commits on %s wait for acknowledgements (semi-sync), which keeps its watchdog from closing it", a.Op.From.Name)
	}
	after, err := closesAfter(e.cfg.Watchdog, e.semiSyncWas(a.Op.From))
	if err != nil {
		return nil, err
	}
	if err := pause.For(ctx, time.Until(renewed.Add(after))); err != nil {
		return nil, err
	}
	return fence.Outlived(a.Op.From.Name, renewed, after, time.Now())
}
