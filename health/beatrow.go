package health

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/flavor"
)

// beatRow is one row of onewriter.heartbeat.
type beatRow struct {
	writer string
	beat   uint64
	ts     time.Time // on the clock of the server it was written on, UTC
}

// readBeat reads the heartbeat row of server id; nil when the row, the table or the right to read it is missing.
func readBeat(ctx context.Context, q flavor.Querier, id uint32) (*beatRow, error) {
	var r beatRow
	var ts string
	err := q.QueryRowContext(ctx, fmt.Sprintf(
		"SELECT writer, beat, CAST(ts AS CHAR) FROM %s.heartbeat WHERE server_id = %d", flavor.Schema, id)).
		Scan(&r.writer, &r.beat, &ts)
	var refused *mysql.MySQLError
	if errors.Is(err, sql.ErrNoRows) || errors.As(err, &refused) && noHeartbeatTable(refused.Number) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the heartbeat row: %w", err)
	}
	if r.ts, err = time.Parse("2006-01-02 15:04:05.999999", ts); err != nil {
		return nil, fmt.Errorf("read the heartbeat row: %w", err)
	}
	return &r, nil
}

// noHeartbeatTable: no such schema or table, an older table without the columns, or no right to use it.
func noHeartbeatTable(number uint16) bool {
	switch number {
	case 1044, 1049, 1054, 1142, 1143, 1146:
		return true
	default:
		return false
	}
}

// errReadOnly means that the heartbeat was not written because the server is read-only.
var errReadOnly = errors.New("the server is read-only")

// writeBeat writes the row of server id. It asks for read_only first, because the control account may pass it and
// must not write where nobody should. The server id is given as a number so that replicas of any binlog format store
// the same.
func writeBeat(ctx context.Context, q flavor.Querier, id uint32, writer string, beat uint64) error {
	var readOnly string
	var serverID uint32
	if err := q.QueryRowContext(ctx, "SELECT @@global.read_only, @@global.server_id").Scan(&readOnly, &serverID); err != nil {
		return err
	}
	if readOnly != "0" && readOnly != "OFF" {
		return errReadOnly
	}
	if serverID != id {
		return fmt.Errorf("server id is %d, not %d as a moment ago", serverID, id)
	}
	_, err := q.ExecContext(ctx, `INSERT INTO `+flavor.Schema+`.heartbeat (server_id, ts, writer, beat)
VALUES (?, UTC_TIMESTAMP(6), ?, ?) ON DUPLICATE KEY UPDATE ts = VALUES(ts), writer = VALUES(writer), beat = VALUES(beat)`,
		id, writer, beat)
	return err
}
