package flavor

import (
	"context"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
)

// Wait implements Catcher.
func (d *mysql) Wait(ctx context.Context, q Querier, target gtid.Position) error {
	switch target.Kind() {
	case gtid.KindMySQL:
		if d.gtidWait {
			return d.waitGTID(ctx, q, target)
		}
		return pollApplied(ctx, q, d, target, time.Millisecond)
	case gtid.KindFile:
		return waitFile(ctx, q, d, d.words.posWait, target)
	case gtid.KindMariaDB, gtid.KindUnknown:
		return wrongTarget(d, target)
	default:
		return wrongTarget(d, target)
	}
}

// waitGTID lets the server wait, and looks each second whether waiting makes sense.
func (d *mysql) waitGTID(ctx context.Context, q Querier, target gtid.Position) error {
	for {
		var timedOut int
		query := fmt.Sprintf("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %d)", literal(target.String()), seconds(ctx))
		if err := q.QueryRowContext(ctx, query).Scan(&timedOut); err != nil {
			return fmt.Errorf("wait for %s: %w", target, err)
		}
		if timedOut == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for %s: %w", target, context.Cause(ctx))
		}
		if err := anyApplier(ctx, q, d); err != nil {
			return err
		}
	}
}

// Applied implements Catcher.
func (d *mysql) Applied(ctx context.Context, q Querier, target gtid.Position) (bool, error) {
	return applied(ctx, q, d, gtid.KindMySQL, target)
}
