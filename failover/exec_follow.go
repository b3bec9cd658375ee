package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// followAgain is the time between the look at the servers that should follow and the second one, where the first was not to
// our liking: MariaDB's receiver may connect twice after a break, and a busy server may answer late.
const followAgain = time.Second

// follow looks, beside everything else, whether the servers that should follow the new primary do, when the limit of that name
// has passed. A step that needs the servers ends it early.
func (e *executor) follow(ctx context.Context, a actRun) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.stopFollower = cancel
	e.followers.Go(func() {
		defer cancel()
		e.watchFollowers(ctx, a)
	})
	return nil
}

func (e *executor) watchFollowers(ctx context.Context, a actRun) {
	var problems []string
	for _, wait := range []time.Duration{e.cfg.Limits.Follow, followAgain} {
		if pause.For(ctx, wait) != nil {
			return // another operation or the end of the process: nothing to say
		}
		if problems = e.followsNow(ctx, a); len(problems) == 0 {
			break
		}
	}
	if ctx.Err() != nil {
		return
	}
	ev := Event{Kind: "followed", Operation: a.Op.ID, Primary: a.Op.To.Name, Epoch: a.Op.Epoch, Outcome: "ok"}
	if len(problems) > 0 {
		ev.Kind, ev.Outcome, ev.Reasons = "warning", "", problems
		e.cfg.Logger.Warn().Str("operation", a.Op.ID).Strs("reasons", problems).Msg("a server does not follow the new primary")
	}
	e.report(ev)
}

// followsNow checks each server other than the new primary that was not away before: it is closed, and it replicates. It gives a sentence for each
// that could not be found to do so.
func (e *executor) followsNow(ctx context.Context, a actRun) (problems []string) {
	for _, i := range e.cfg.Servers {
		if i.Name == a.Op.To.Name || slices.Contains(a.Op.Left, i.Name) {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
		err := e.followsOne(bounded, i, a.Op.To)
		if err != nil && bounded.Err() != nil {
			err = fmt.Errorf("%s did not say within %s whether it follows", i.Name, e.cfg.Limits.Statement)
		}
		cancel()
		if err != nil {
			problems = append(problems, fmt.Sprintf("The switchover to %s is complete, but %s after it %s. See `onewriter status` and `onewriter doctor`.",
				a.Op.To.Name, e.cfg.Limits.Follow, strings.TrimRight(err.Error(), ".")))
		}
	}
	return problems
}

func (e *executor) followsOne(ctx context.Context, i, primary topology.Instance) (err error) {
	conn, d, err := e.servers[i.Name].conn(ctx)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", i.Name, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	facts, err := d.Observe(ctx, conn)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", i.Name, err)
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
