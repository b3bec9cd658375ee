package fence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/pause"
)

// Error numbers of the servers (the same in both flavours).
const (
	errLockWaitTimeout = 1205 // ER_LOCK_WAIT_TIMEOUT
	errNoSuchThread    = 1094 // ER_NO_SUCH_THREAD
)

func lockWaitTimeout(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && e.Number == errLockWaitTimeout
}

// killBlockers kills the sessions that keep the fence waiting: those that write, hold locks or wait for them, and with
// all also the idle ones, because an idle session may hold LOCK TABLES ... WRITE and not every server shows that.
func (a *Attempt) killBlockers(ctx context.Context, all bool) error {
	sessions, err := a.server.Dialect.Sessions(ctx, a.helper)
	if err != nil {
		return fmt.Errorf("list the sessions of %s: %w", a.server.Name, err)
	}
	for _, s := range sessions {
		switch b := s.Blocks(); {
		case a.ours(s):
		case b == flavor.BlocksSurely:
			a.end(ctx, s, "it kept the fence waiting")
		case all && b == flavor.BlocksPossibly:
			a.end(ctx, s, "the fence was pending for long and it may have held table locks")
		}
	}
	return nil
}

// ours reports whether s must not be killed.
func (a *Attempt) ours(s flavor.Session) bool {
	return s.ID == a.id || s.User == a.server.ControlUser || s.Replication || s.System
}

// end kills the session s and notes it once, however often it takes.
func (a *Attempt) end(ctx context.Context, s flavor.Session, why string) {
	list := &a.report.Killed
	if err := a.kill(ctx, s.ID); err != nil {
		list, why = &a.report.Refused, err.Error()
	}
	for _, k := range *list {
		if k.ID == s.ID {
			return
		}
	}
	*list = append(*list, Killed{ID: s.ID, User: s.User, Host: s.Host, Why: why})
}

// kill ends connection id; a connection that is gone already is fine.
func (a *Attempt) kill(ctx context.Context, id uint64) error {
	err := a.server.Dialect.Kill(ctx, a.helper, id)
	var e *mysql.MySQLError
	if errors.As(err, &e) && e.Number == errNoSuchThread {
		return nil
	}
	return err
}

// expel ends the sessions that could write in spite of read_only and waits until they are gone, because a session
// that was killed in the middle of a COMMIT still commits. Under super_read_only there are none.
func (a *Attempt) expel(ctx context.Context) error {
	if flavor.HasSuperReadOnly(a.server.Dialect) {
		return nil
	}
	for {
		sessions, err := a.server.Dialect.PrivilegedSessions(ctx, a.helper)
		if err != nil {
			return fmt.Errorf("list the sessions of %s: %w", a.server.Name, err)
		}
		left := 0
		for _, s := range sessions {
			if !a.ours(s) {
				left++
				a.end(ctx, s, "its account may write in spite of read_only")
			}
		}
		if left == 0 {
			return nil
		}
		if err := pause.For(ctx, 2*time.Millisecond); err != nil {
			return fmt.Errorf("%d sessions on %s that may write in spite of read_only do not end: %w", left, a.server.Name, err)
		}
	}
}
