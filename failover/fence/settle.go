package fence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/pause"
)

// settle makes the outcome of the fence certain after an error. MySQL keeps the statement of a client that went away
// in its queue and executes it later, so the fencer is killed first and must be seen gone; only then do the flags
// say the final word. It uses connections of its own where the first ones have broken.
func (a *Attempt) settle(ctx context.Context) (openness, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.limits.Settle)
	defer cancel()
	for {
		state, err := a.settleOnce(ctx)
		if err == nil {
			return state, nil
		}
		if ctx.Err() != nil || pause.For(ctx, 10*time.Millisecond) != nil {
			return half, err
		}
	}
}

func (a *Attempt) settleOnce(ctx context.Context) (openness, error) {
	if err := a.reviveHelper(ctx); err != nil {
		return half, err
	}
	if a.pending {
		killErr := a.kill(ctx, a.id)
		there, err := connectionExists(ctx, a.helper, a.id)
		if err != nil {
			return half, fmt.Errorf("look for the fencing statement on %s: %w", a.server.Name, err)
		}
		if there {
			return half, errors.Join(fmt.Errorf("the fencing statement on %s (connection %d) does not end", a.server.Name, a.id), killErr)
		}
		a.pending = false
	}
	state, err := readFlags(ctx, a.helper, a.server.Dialect)
	if err != nil {
		return half, fmt.Errorf("read the flags of %s: %w", a.server.Name, err)
	}
	return state, nil
}

// reviveHelper replaces a helper connection that has broken.
func (a *Attempt) reviveHelper(ctx context.Context) error {
	if a.helper != nil && a.helper.PingContext(ctx) == nil {
		return nil
	}
	if a.helper != nil {
		_ = a.helper.Close() // it is broken
		a.helper = nil
	}
	conn, err := prepared(ctx, a.server)
	if err != nil {
		return err
	}
	a.helper = conn
	return nil
}

func connectionExists(ctx context.Context, conn *sql.Conn, id uint64) (bool, error) {
	var n int
	err := conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?", id).Scan(&n)
	return n > 0, err
}

// Reopen undoes the fence: it makes certain that no fencing statement is left, opens the server and verifies that.
// It refuses with ErrNoProof when the proof of this fence has been used to open another server. On ErrUncertain it
// can be tried again.
func (a *Attempt) Reopen(ctx context.Context) error {
	if a.proof != nil && !a.proof.spend() {
		return fmt.Errorf("reopen %s: %w: another server was opened after it", a.server.Name, ErrNoProof)
	}
	err := a.reopen(ctx)
	if err != nil && a.proof != nil {
		a.proof.giveBack()
	}
	return err
}

func (a *Attempt) reopen(ctx context.Context) error {
	state, err := a.settle(ctx)
	if err != nil {
		return fmt.Errorf("reopen %s: %w: %w", a.server.Name, ErrUncertain, err)
	}
	if state == open {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, a.limits.Settle)
	defer cancel()
	err = a.server.Dialect.SetWritable(bounded, a.helper)
	if err == nil {
		state, err = readFlags(bounded, a.helper, a.server.Dialect)
		if err == nil && state != open {
			err = ErrNotOpened
		}
	}
	if err != nil {
		return fmt.Errorf("reopen %s: %w: %w", a.server.Name, ErrUncertain, err)
	}
	return nil
}

// Promote opens s against the proof that the other server is closed. On ErrNotOpened it is certainly still closed
// and the proof is as good as before; on ErrUncertain ask Settle later. conn is a connection to s that is ready.
func Promote(ctx context.Context, proof *Proof, s Server, conn *sql.Conn, limits Limits) error {
	if !proof.spend() {
		return fmt.Errorf("open %s: %w", s.Name, ErrNoProof)
	}
	err := proof.open(ctx, s, conn, limits)
	if err == nil {
		return nil
	}
	opened, openedErr := proof.opened(ctx, s, limits)
	switch {
	case openedErr != nil:
		return fmt.Errorf("open %s: %w: %w", s.Name, ErrUncertain, errors.Join(err, openedErr))
	case opened:
		return nil
	default:
		proof.giveBack()
		return fmt.Errorf("open %s: %w: %w", s.Name, ErrNotOpened, err)
	}
}

// Settle finds out what became of a Promote of s that ended in ErrUncertain. When s is certainly still closed the
// proof is as good as before.
func Settle(ctx context.Context, proof *Proof, s Server, limits Limits) (opened bool, err error) {
	opened, err = proof.opened(ctx, s, limits)
	if err == nil && !opened {
		proof.giveBack()
	}
	return opened, err
}

// open opens s on conn and remembers the connection as long as a statement of it may still arrive.
func (p *Proof) open(ctx context.Context, s Server, conn *sql.Conn, limits Limits) error {
	ctx, cancel := context.WithTimeout(ctx, limits.Settle)
	defer cancel()
	id, err := s.Dialect.ConnectionID(ctx, conn)
	if err != nil {
		return err // nothing was sent that opens s
	}
	p.opener = id
	err = s.Dialect.SetWritable(ctx, conn)
	if err == nil || answered(err) {
		p.opener = 0
	}
	return err
}

// answered reports whether err is what the server said to the last statement that was sent.
func answered(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) || errors.Is(err, flavor.ErrNotVerified)
}

// opened finds out whether s is open, after a Promote whose answer was lost. Before it looks it ends the connection that
// was to open s, because a packet that the network has lost comes again, even after its sender has hung up; and
// statements of ours that are still pending on s. A pair of flags of which only one is set is brought back to closed.
func (p *Proof) opened(ctx context.Context, s Server, limits Limits) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Settle)
	defer cancel()
	conn, err := prepared(ctx, s)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if p.opener != 0 {
		if err := endAll(ctx, s, conn, fmt.Sprintf("the connection %d that was to open %s", p.opener, s.Name), "id = ?", p.opener); err != nil {
			return false, err
		}
		p.opener = 0
	}
	if err := EndStray(ctx, s, conn); err != nil {
		return false, err
	}
	state, err := readFlags(ctx, conn, s.Dialect)
	if err == nil && state == half {
		if err = s.Dialect.SetReadOnly(ctx, conn); err == nil {
			state, err = readFlags(ctx, conn, s.Dialect)
		}
	}
	if err != nil {
		return false, fmt.Errorf("read the flags of %s: %w", s.Name, err)
	}
	if state == half {
		return false, fmt.Errorf("%s: only one of the two flags is set", s.Name)
	}
	return state == open, nil
}

// EndStray ends statements of the control account that set read_only and are still waiting: what a process that was
// killed has left behind, or a connection that broke. It returns when they are gone.
func EndStray(ctx context.Context, s Server, conn *sql.Conn) error {
	return endAll(ctx, s, conn, "a pending statement on "+s.Name, "info LIKE 'SET%GLOBAL%read_only%'")
}

// endAll kills the other connections of the control account that condition selects until none is left. After a restart
// of the server an id may be another one's: that is ours too, and made anew.
func endAll(ctx context.Context, s Server, conn *sql.Conn, what, condition string, args ...any) error {
	for {
		ids, err := connections(ctx, s, conn, condition, args...)
		if err != nil {
			return fmt.Errorf("look for %s: %w", what, err)
		}
		if len(ids) == 0 {
			return nil
		}
		for _, id := range ids {
			_ = s.Dialect.Kill(ctx, conn, id) // gone already, or seen again in the next round
		}
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("%s does not end: %w", what, err)
		}
	}
}

// connections lists the other connections of the control account that condition selects.
func connections(ctx context.Context, s Server, conn *sql.Conn, condition string, args ...any) (ids []uint64, err error) {
	rows, err := conn.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = ? AND "+condition,
		append([]any{s.ControlUser}, args...)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
