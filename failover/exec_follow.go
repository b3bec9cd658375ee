package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/topology"
)

const followEvery = 250 * time.Millisecond

// follow watches, beside everything else, whether the servers that should follow the new primary do, for the limit of
// that name. A step that needs the servers ends it early.
func (e *executor) follow(ctx context.Context, a actRun) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cfg.Limits.Follow)
	e.stopFollower = cancel
	e.followers.Go(func() {
		defer cancel()
		e.watchFollowers(ctx, a)
	})
	return nil
}

func (e *executor) watchFollowers(ctx context.Context, a actRun) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var problem error
	good := 0
	for {
		problem = e.followsNow(ctx, a)
		if problem == nil {
			good++
		} else {
			good = 0
		}
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return // another operation or the end of the process: nothing to say
	}
	ev := Event{Kind: "followed", Operation: a.Op.ID, Primary: a.Op.To.Name, Epoch: a.Op.Epoch, Outcome: "ok"}
	if good == 0 {
		ev.Kind, ev.Outcome, ev.Reasons = "warning", "failed", []string{fmt.Sprintf("After the switchover to %s: %v.", a.Op.To.Name, problem)}
	}
	e.report(ev)
}

// followsNow checks each reachable server other than the new primary: it is closed, and it replicates.
func (e *executor) followsNow(ctx context.Context, a actRun) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
	defer cancel()
	var errs []error
	for _, i := range e.cfg.Servers {
		if i.Name != a.Op.To.Name {
			errs = append(errs, e.followsOne(ctx, i, a.Op.To))
		}
	}
	return errors.Join(errs...)
}

func (e *executor) followsOne(ctx context.Context, i, primary topology.Instance) (err error) {
	conn, d, err := e.servers[i.Name].conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	facts, err := d.Observe(ctx, conn)
	if err != nil {
		return fmt.Errorf("observe %s: %w", i.Name, err)
	}
	if facts.Writable() {
		return fmt.Errorf("%s is writable", i.Name)
	}
	for _, l := range facts.Links {
		if l.Running() {
			return nil
		}
		err = fmt.Errorf("%s does not replicate from %s: receiver %s%s, applier %s%s", i.Name, primary.Name,
			l.IO, withError(l.IOErrno, l.IOError), l.SQL, withError(l.SQLErrno, l.SQLError))
	}
	if err == nil {
		err = fmt.Errorf("%s does not replicate at all", i.Name)
	}
	return err
}
