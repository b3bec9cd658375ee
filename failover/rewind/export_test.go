package rewind

import (
	"context"
	"database/sql"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// Stage says how far an interrupted Undo has come.
type Stage int

const (
	Committed Stage = iota // the rows are undone
	Emptied                // the binary log is empty, and the server claims to have nothing
	Replaced               // only the marker is left
)

// UndoUntil is Undo that ends at a stage, as if the process had been killed there.
func UndoUntil(ctx context.Context, t Target, p Plan, keep string, s Stage) error {
	m := p.marker()
	var err error
	if m.file, err = p.keep(keep, time.Now()); err != nil {
		return err
	}
	return t.writing(ctx, func(conn *sql.Conn) error {
		facts, err := t.Dialect.Observe(ctx, conn)
		if err != nil {
			return err
		}
		if err := p.undo(ctx, t, conn, facts.Links, &m); err != nil || s == Committed {
			return err
		}
		if err := flavor.PinLinks(ctx, conn, t.Dialect, facts.Links); err != nil {
			return err
		}
		if s == Emptied {
			reset := "RESET MASTER"
			if t.Dialect.Name() == "mysql" {
				reset = "RESET BINARY LOGS AND GTIDS"
			}
			_, err = conn.ExecContext(ctx, reset)
			return err
		}
		return flavor.ReplaceHistory(ctx, conn, t.Dialect, m.claim)
	})
}
