package flavor

import (
	"context"
	"fmt"
)

// PassReadOnly lets accounts that pass read_only write on a server that stays closed for all others: it clears
// super_read_only where the server has it, and checks that read_only is still on (ErrNotVerified).
func PassReadOnly(ctx context.Context, q Querier, d Dialect) error {
	_, super, err := d.ReadOnly(ctx, q)
	if err == nil && super {
		err = exec(ctx, q, "SET GLOBAL super_read_only = 0")
	}
	if err != nil {
		return fmt.Errorf("clear super_read_only: %w", err)
	}
	on, super, err := d.ReadOnly(ctx, q)
	if err == nil && (!on || super) {
		err = ErrNotVerified
	}
	if err != nil {
		return fmt.Errorf("check read_only: %w", err)
	}
	return nil
}

// Unlogged prepares the session q for writing rows exactly as they were logged, without logging that again: no binary
// log, UTC, no checks of foreign keys, any date that the server can store, and 0 as a value of AUTO_INCREMENT columns.
// MySQL wants SESSION_VARIABLES_ADMIN for it, MariaDB BINLOG ADMIN.
func Unlogged(ctx context.Context, q Querier) error {
	return exec(ctx, q, "SET SESSION sql_log_bin = 0", "SET NAMES utf8mb4",
		"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00', foreign_key_checks = 0, unique_checks = 1")
}

// FlushEngine makes what was committed durable, whatever innodb_flush_log_at_trx_commit is.
func FlushEngine(ctx context.Context, q Querier) error {
	return exec(ctx, q, "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS")
}
