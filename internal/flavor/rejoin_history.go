package flavor

import (
	"context"
	"fmt"

	"github.com/onewriter/onewriter/internal/gtid"
)

// AppliedHistory makes gtid_slave_pos name the newest transaction of each domain that this server has written or
// applied. Unlike AdoptOwnHistory it never moves back the place of a server that was restored from a backup, whose
// binary log is empty. All links must be stopped. MySQL needs nothing of the kind.
func AppliedHistory(ctx context.Context, q Querier, d Dialect) (gtid.Position, error) {
	if d.Kind() != KindMariaDB {
		return gtid.Position{}, nil
	}
	r, err := oneRecord(ctx, q, "SELECT @@global.gtid_binlog_pos AS written, @@global.gtid_slave_pos AS applied")
	if err != nil {
		return gtid.Position{}, fmt.Errorf("read the positions: %w", err)
	}
	written, err := gtid.ParseMariaDB(r.str("written"))
	if err != nil {
		return gtid.Position{}, fmt.Errorf("read gtid_binlog_pos: %w", err)
	}
	applied, err := gtid.ParseMariaDB(r.str("applied"))
	if err != nil {
		return gtid.Position{}, fmt.Errorf("read gtid_slave_pos: %w", err)
	}
	newest := gtid.Union(written, applied).Newest()
	if newest.Equal(applied) {
		return newest, nil
	}
	if err := exec(ctx, q, "SET GLOBAL gtid_slave_pos = "+literal(newest.String())); err != nil {
		return gtid.Position{}, fmt.Errorf("set gtid_slave_pos: %w", err)
	}
	return newest, nil
}

// ReplaceHistory empties the server's binary log and makes it claim exactly the history state. All links must be
// stopped and nobody may read its binary log. Between the two statements the server claims to have nothing.
// With a file position or the unknown one only the log is emptied.
func ReplaceHistory(ctx context.Context, q Querier, d Dialect, state gtid.Position) error {
	reset := "RESET MASTER"
	if d.Kind() == KindMySQL84 {
		reset = "RESET BINARY LOGS AND GTIDS"
	}
	if err := exec(ctx, q, reset); err != nil {
		return fmt.Errorf("empty the binary log: %w", err)
	}
	switch state.Kind() {
	case gtid.KindMySQL:
		if err := exec(ctx, q, "SET GLOBAL gtid_purged = "+literal(state.String())); err != nil {
			return fmt.Errorf("set gtid_purged to %s: %w", state, err)
		}
	case gtid.KindMariaDB:
		if err := exec(ctx, q, "SET GLOBAL gtid_binlog_state = "+literal(state.StateText()),
			"SET GLOBAL gtid_slave_pos = "+literal(state.Newest().String())); err != nil {
			return fmt.Errorf("set the GTID state to %s: %w", state, err)
		}
	case gtid.KindFile, gtid.KindUnknown:
	}
	return nil
}

// Purged gives the transactions whose binary logs a MySQL server has deleted (gtid_purged); unknown on MariaDB and
// with GTID off.
func Purged(ctx context.Context, q Querier, d Dialect) (gtid.Position, error) {
	if d.Name() != "mysql" {
		return gtid.Position{}, nil
	}
	r, err := oneRecord(ctx, q, "SELECT @@global.gtid_purged AS purged, @@global.gtid_mode AS gtid_mode")
	if err != nil {
		return gtid.Position{}, fmt.Errorf("read gtid_purged: %w", err)
	}
	if !gtidOn(r.str("gtid_mode")) {
		return gtid.Position{}, nil
	}
	return gtid.ParseMySQL(r.str("purged"))
}

// LogReaders counts the replicas and others that read the server's binary log now, apart from those of user.
func LogReaders(ctx context.Context, q Querier, user string) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT COUNT(*) FROM information_schema.processlist
WHERE command LIKE 'Binlog Dump%' AND user <> ?`, user).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the readers of the binary log: %w", err)
	}
	return n, nil
}
