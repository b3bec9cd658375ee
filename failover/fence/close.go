package fence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Attempt is one fence of one server: its two connections, what became of it, and the way back. It is not safe for
// concurrent use.
type Attempt struct {
	server Server
	limits Limits
	fencer *sql.Conn // runs the statement that may hang
	helper *sql.Conn // looks and kills
	id     uint64    // connection id of fencer
	proof  *Proof
	// pending is true while the statement of fencer may still take effect.
	pending bool
	report  Report
}

// New prepares a fence of s: it opens both connections, so that Close itself loses no time with that, and bounds
// the lock waits of both. Call Release in the end.
func New(ctx context.Context, s Server, limits Limits) (*Attempt, error) {
	a := &Attempt{server: s, limits: limits}
	var err error
	if a.helper, err = prepared(ctx, s); err != nil {
		return nil, err
	}
	if a.fencer, err = prepared(ctx, s); err == nil {
		a.id, err = s.Dialect.ConnectionID(ctx, a.fencer)
	}
	if err != nil {
		a.Release()
		return nil, fmt.Errorf("connect to %s: %w", s.Name, err)
	}
	a.report.Fencer = a.id
	return a, nil
}

// prepared gives a connection on which no statement waits longer than a second for a lock.
func prepared(ctx context.Context, s Server) (*sql.Conn, error) {
	conn, err := s.DB.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.Name, err)
	}
	if err := s.Dialect.LockWaitTimeout(ctx, conn, 1); err != nil {
		return nil, errors.Join(fmt.Errorf("bound the lock waits on %s: %w", s.Name, err), conn.Close())
	}
	return conn, nil
}

// Release gives the connections back. A fence that is pending stays pending: call Reopen or Close before.
func (a *Attempt) Release() {
	for _, c := range []*sql.Conn{a.fencer, a.helper} {
		if c != nil {
			_ = c.Close() // either it goes back to the pool or it was broken already
		}
	}
	a.fencer, a.helper = nil, nil
}

// Report says what was seen and done so far.
func (a *Attempt) Report() Report { return a.report }

// Close makes the server read-only and returns the proof. The statement that does it waits for running writes;
// sessions that keep it waiting longer than the grace are killed, again and again. On an error that is ErrNotClosed
// the server is certainly open; on ErrUncertain nothing is known, and Reopen can be tried later.
func (a *Attempt) Close(ctx context.Context) (*Proof, error) {
	budget, cancel := context.WithTimeout(ctx, a.limits.Budget)
	defer cancel()
	err := a.closeFlags(budget)
	if err == nil {
		err = a.expel(budget)
	}
	if err == nil {
		a.proof = a.proved()
		return a.proof, nil
	}
	state, settleErr := a.settle(ctx)
	a.report.Settled = true
	switch {
	case settleErr != nil:
		return nil, fmt.Errorf("close %s: %w: %w", a.server.Name, ErrUncertain, errors.Join(err, settleErr))
	case state == open:
		return nil, fmt.Errorf("close %s: %w: %w%s", a.server.Name, ErrNotClosed, err, a.refused())
	case state == half:
		return nil, fmt.Errorf("close %s: %w: only one of the two flags is set: %w", a.server.Name, ErrUncertain, err)
	}
	// The answer was lost but the fence stands. Privileged sessions must have been seen gone, too.
	rest, cancelRest := context.WithTimeout(context.WithoutCancel(ctx), a.limits.Settle)
	defer cancelRest()
	if err := a.expel(rest); err != nil {
		return nil, fmt.Errorf("close %s: %w: %w", a.server.Name, ErrUncertain, err)
	}
	a.proof = a.proved()
	return a.proof, nil
}

// proved is the proof that the flags of the server were set and read back.
func (a *Attempt) proved() *Proof {
	return &Proof{of: a.server.Name, kind: Proved, valid: true, lines: []string{"The flags of " + a.server.Name + " were set and read back on another connection."}}
}

// refused names, for the error's text, the sessions that were in the way and could not be ended.
func (a *Attempt) refused() string {
	text := ""
	for _, k := range a.report.Refused {
		text += fmt.Sprintf("; connection %d of %s@%s could not be ended: %s", k.ID, k.User, k.Host, k.Why)
	}
	return text
}

// closeFlags issues the statement until it is granted or the budget is over, and kills what blocks it meanwhile.
func (a *Attempt) closeFlags(ctx context.Context) error {
	result := make(chan error, 1)
	issue := func() {
		a.report.Tries++
		a.pending = true
		go func() { result <- a.server.Dialect.SetReadOnly(ctx, a.fencer) }()
	}
	begun := time.Now()
	issue()
	next := time.NewTimer(a.limits.Grace)
	defer next.Stop()
	for {
		select {
		case err := <-result:
			if err == nil {
				a.pending = false
				return a.confirm(ctx)
			}
			if !lockWaitTimeout(err) || ctx.Err() != nil {
				return err
			}
			issue() // the server withdrew the statement after a second: it may be issued again
		case <-next.C:
			if err := a.killBlockers(ctx, time.Since(begun) > 3*a.limits.Grace); err != nil && ctx.Err() == nil {
				cancelled := a.abandon(result)
				return errors.Join(err, cancelled)
			}
			next.Reset(a.limits.Kill)
		}
	}
}

// abandon ends the wait for the statement by killing its connection.
func (a *Attempt) abandon(result <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), a.limits.Settle)
	defer cancel()
	killErr := a.kill(ctx, a.id)
	select {
	case err := <-result:
		return errors.Join(err, killErr)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// confirm reads both flags on the other connection.
func (a *Attempt) confirm(ctx context.Context) error {
	state, err := readFlags(ctx, a.helper, a.server.Dialect)
	if err != nil {
		return err
	}
	if state != closed {
		return errors.New("the statement succeeded but the flags are not set: somebody opens the server at the same time")
	}
	return nil
}
