package rewind

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// Report is what a rewind has done.
type Report struct {
	Transactions, Rows int
	// Refetch counts the replicated transactions that were undone as well. When there are any, the server's link is
	// pinned and has to be pointed at the primary again, as rejoin.Reattach does: by GTID, or at the place in the primary's
	// binary log at which it was opened.
	Refetch int
	// File keeps the errant transactions as SQL.
	File string
	// Claim is the history that the server claims now; unknown on MySQL with GTID off.
	Claim gtid.Position
	Took  time.Duration
}

const (
	lockSeconds = 5               // how long undoing waits for a lock; nobody else should hold any
	closeTime   = 5 * time.Second // for closing a MySQL server entirely again
)

// Undo takes the plan's transactions back. First it writes what it undoes into a new file in the directory keep. The
// server must be read-only, its links stopped, without readers of its binary log (ErrNotQuiet); it stays read-only for
// everybody but accounts that pass read_only. When a row is not as the transactions left it, nothing is undone
// (ErrChanged). An error after the commit leaves a marker on the server: call Resume then, also after a crash.
func Undo(ctx context.Context, t Target, p Plan, keep string) (r Report, err error) {
	began := time.Now()
	facts, err := t.quiet(ctx)
	if err != nil {
		return r, err
	}
	if _, there, err := readMarker(ctx, t.DB); err != nil || there {
		return r, errors.Join(err, interrupted(t, there))
	}
	if err := p.stillTrue(ctx, t); err != nil {
		return r, err
	}
	m := p.marker()
	if m.file, err = p.keep(keep, began); err != nil {
		return r, err
	}
	err = t.writing(ctx, func(conn *sql.Conn) error {
		if err := p.undo(ctx, t, conn, facts.Links, &m); err != nil {
			return err
		}
		return t.forget(ctx, conn, m)
	})
	if err != nil {
		return r, fmt.Errorf("undo %d transactions on %s: %w", len(p.Transactions), t.Name, err)
	}
	r = m.report()
	r.Took = time.Since(began)
	return r, nil
}

// undo undoes all rows; the links of a server that has to fetch some of them again can bring nothing from then on.
func (p Plan) undo(ctx context.Context, t Target, conn *sql.Conn, links []topology.Link, m *marker) error {
	if err := p.pin(ctx, t, conn, links); err != nil {
		return errors.Join(err, p.unpin(ctx, t, conn, links))
	}
	if err := p.rows(ctx, t, conn, m); err != nil {
		return errors.Join(err, p.unpin(ctx, t, conn, links))
	}
	return nil
}

func (p Plan) marker() marker {
	return marker{was: p.Was, claim: p.Claim, transactions: len(p.Transactions), rows: p.Rows, refetch: p.Refetch}
}

func (m marker) report() Report {
	return Report{Transactions: m.transactions, Rows: m.rows, Refetch: m.refetch, File: m.file, Claim: m.claim}
}

// stillTrue checks that nothing was written since the plan was made.
func (p Plan) stillTrue(ctx context.Context, t Target) error {
	now, err := t.Dialect.Position(ctx, t.DB)
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", t.Name, err)
	}
	if !now.Equal(p.Was) {
		return fmt.Errorf("%w: %s was at %s and is at %s", ErrChanged, t.Name, p.Was, now)
	}
	return nil
}

// writing runs do with a session that may write unlogged on the closed server, and closes it entirely afterwards.
func (t Target) writing(ctx context.Context, do func(*sql.Conn) error) (err error) {
	conn, err := t.DB.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer discard(conn)
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if closing := t.Dialect.SetReadOnly(after, t.DB); closing != nil {
			err = errors.Join(err, fmt.Errorf("close %s again: %w", t.Name, closing))
		}
	}()
	if err := flavor.PassReadOnly(ctx, conn, t.Dialect); err != nil {
		return err
	}
	if err := t.Dialect.LockWaitTimeout(ctx, conn, lockSeconds); err != nil {
		return fmt.Errorf("bound the waits for locks: %w", err)
	}
	if err := flavor.Unlogged(ctx, conn); err != nil {
		return fmt.Errorf("prepare the session: %w", err)
	}
	return do(conn)
}

// rows undoes all rows in one transaction and commits it with the marker.
func (p Plan) rows(ctx context.Context, t Target, conn *sql.Conn, m *marker) (err error) {
	if m.madeSchema, err = makeTable(ctx, conn); err != nil {
		return fmt.Errorf("make the table %s: %w", markerTable, err)
	}
	if err = p.transaction(ctx, t, conn, m); err != nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if _, committed, looked := readMarker(after, t.DB); looked == nil && !committed {
			err = errors.Join(err, m.drop(after, conn))
		}
	}
	return err
}

// transaction goes through the changes, newest first.
func (p Plan) transaction(ctx context.Context, t Target, conn *sql.Conn, m *marker) (err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing, once committed
	for i := len(p.steps) - 1; i >= 0; i-- {
		if err := p.one(ctx, tx, p.steps[i]); err != nil {
			return err
		}
	}
	if err := m.insert(ctx, tx); err != nil {
		return fmt.Errorf("write the marker: %w", err)
	}
	if err := p.stillTrue(ctx, t); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (p Plan) one(ctx context.Context, tx *sql.Tx, s step) error {
	of := p.tail[s.transaction]
	result, err := tx.ExecContext(ctx, s.undo)
	if err != nil {
		return fmt.Errorf("undo a row of %s (%s): %w", of.GTID, of.Place, err)
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("%w: undoing a row of %s (%s) affects %d rows instead of 1", ErrChanged, of.GTID, of.Place, n)
	}
	return err
}

// forget makes the history forget the tail, and then removes the marker. It can be repeated.
func (t Target) forget(ctx context.Context, conn *sql.Conn, m marker) error {
	if err := flavor.FlushEngine(ctx, conn); err != nil {
		return fmt.Errorf("make the undone rows durable: %w", err)
	}
	facts, err := t.Dialect.Observe(ctx, conn)
	if err != nil {
		return fmt.Errorf("read the links: %w", err)
	}
	if err := flavor.PinLinks(ctx, conn, t.Dialect, facts.Links); err != nil {
		return err
	}
	if err := flavor.ReplaceHistory(ctx, conn, t.Dialect, m.claim); err != nil {
		return fmt.Errorf("forget the transactions: %w", err)
	}
	if m.claim.Known() {
		now, err := t.Dialect.Position(ctx, conn)
		if err != nil {
			return fmt.Errorf("read the new position: %w", err)
		}
		if !now.Equal(m.claim) {
			return fmt.Errorf("forget the transactions: %s claims %q, not %q", t.Name, now, m.claim)
		}
	}
	if m.refetch == 0 {
		if err := flavor.UnpinLinks(ctx, conn, t.Dialect); err != nil {
			return err
		}
	}
	if err := m.drop(ctx, conn); err != nil {
		return fmt.Errorf("remove the marker: %w", err)
	}
	return nil
}
