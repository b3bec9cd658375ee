package rewind

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
)

// Interrupted reports whether a rewind on the server was interrupted after its rows were undone. Until Resume has
// ended, the server's history means nothing: it may name transactions that are undone, or nothing at all.
func Interrupted(ctx context.Context, t Target) (bool, error) {
	_, there, err := readMarker(ctx, t.DB)
	if err != nil {
		return false, fmt.Errorf("%s: %w", t.Name, err)
	}
	return there, nil
}

// Resume completes a rewind that was interrupted after its rows were undone; ok is false when there is none. Have of the
// target is not needed. The server must be as for Undo. When somebody has written to it since, it is left as it is
// (ErrChanged).
func Resume(ctx context.Context, t Target) (r Report, ok bool, err error) {
	began := time.Now()
	m, there, err := readMarker(ctx, t.DB)
	if err != nil || !there {
		return r, false, err
	}
	if _, err := t.quiet(ctx); err != nil {
		return r, true, err
	}
	now, err := t.Dialect.Position(ctx, t.DB)
	if err != nil {
		return r, true, fmt.Errorf("read the position of %s: %w", t.Name, err)
	}
	if !m.explains(now) {
		return r, true, fmt.Errorf("%w: a rewind of %s was interrupted at %s, now it is at %s", ErrChanged, t.Name, m.was, now)
	}
	err = t.writing(ctx, func(conn *sql.Conn) error { return t.forget(ctx, conn, m) })
	if err != nil {
		return r, true, fmt.Errorf("resume the rewind of %s: %w", t.Name, err)
	}
	r = m.report()
	r.Took = time.Since(began)
	return r, true, nil
}

// explains reports whether the position is one that the interrupted rewind itself has left: with the tail, without it,
// or without anything of the binary log. A file position says nothing after the log was emptied.
func (m marker) explains(now gtid.Position) bool {
	if !m.claim.Known() {
		return true
	}
	return now.Equal(m.was) || m.claim.Contains(now)
}
