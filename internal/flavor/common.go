package flavor

import (
	"context"
	"fmt"

	"github.com/onewriter/onewriter/internal/gtid"
)

// common is what all dialects do alike.
type common struct{ version string }

// Version implements Dialect.
func (c common) Version() string { return c.version }

// LockWaitTimeout implements Attendant.
func (common) LockWaitTimeout(ctx context.Context, q Querier, seconds int) error {
	seconds = max(seconds, 1)
	return exec(ctx, q, fmt.Sprintf("SET SESSION lock_wait_timeout = %d, innodb_lock_wait_timeout = %d", seconds, seconds))
}

// ConnectionID implements Attendant.
func (common) ConnectionID(ctx context.Context, q Querier) (id uint64, err error) {
	err = q.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id)
	return id, err
}

// Kill implements Attendant.
func (common) Kill(ctx context.Context, q Querier, id uint64) error {
	return exec(ctx, q, fmt.Sprintf("KILL CONNECTION %d", id))
}

// KillQuery implements Attendant.
func (common) KillQuery(ctx context.Context, q Querier, id uint64) error {
	return exec(ctx, q, fmt.Sprintf("KILL QUERY %d", id))
}

// PreparedXA implements Attendant. MySQL 8 wants XA_RECOVER_ADMIN for it (error 1401 without).
func (common) PreparedXA(ctx context.Context, q Querier) (int, error) {
	rs, err := records(ctx, q, "XA RECOVER")
	return len(rs), err
}

// binlogPosition reads the file and offset that the given SHOW statement prints.
func binlogPosition(ctx context.Context, q Querier, show string) (gtid.Position, error) {
	r, err := oneRecord(ctx, q, show)
	if err != nil {
		return gtid.Position{}, err
	}
	return gtid.FilePos(r.str("file"), r.uint("position")), nil
}

// readFlags reads read_only and, when the server has it, super_read_only.
func readFlags(ctx context.Context, q Querier, hasSuper bool) (readOnly, super bool, err error) {
	query := "SELECT @@global.read_only AS ro, 0 AS super_ro"
	if hasSuper {
		query = "SELECT @@global.read_only AS ro, @@global.super_read_only AS super_ro"
	}
	r, err := oneRecord(ctx, q, query)
	return r.bool("ro"), r.bool("super_ro"), err
}
