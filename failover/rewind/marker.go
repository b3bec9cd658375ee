package rewind

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
)

// marker is the row that is committed together with the undone rows. While it is there the history has not been
// replaced for certain. Its table is not logged and is there during a rewind only.
type marker struct {
	was, claim   gtid.Position
	file         string
	transactions int
	rows         int
	refetch      int
	madeSchema   bool
}

const markerTable = flavor.Schema + ".rewind"

// makeTable makes the marker's table, and tells whether the schema had to be made for it.
func makeTable(ctx context.Context, conn *sql.Conn) (madeSchema bool, err error) {
	var n int
	if err := conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", flavor.Schema).Scan(&n); err != nil {
		return false, err
	}
	if n == 0 {
		if _, err := conn.ExecContext(ctx, "CREATE DATABASE "+flavor.Schema); err != nil {
			return false, err
		}
	}
	for _, q := range []string{"DROP TABLE IF EXISTS " + markerTable, `CREATE TABLE ` + markerTable + ` (
  id INT NOT NULL PRIMARY KEY, was MEDIUMTEXT NOT NULL, claim MEDIUMTEXT NOT NULL, kind VARCHAR(16) NOT NULL, file TEXT NOT NULL,
  transactions INT NOT NULL, changed INT NOT NULL, refetch INT NOT NULL, made_schema INT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return false, err
		}
	}
	return n == 0, nil
}

func (m marker) insert(ctx context.Context, tx *sql.Tx) error {
	made := 0
	if m.madeSchema {
		made = 1
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO "+markerTable+" (id, was, claim, kind, file, transactions, changed, refetch, made_schema) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
		m.was.String(), m.claim.String(), m.claim.Kind().String(), m.file, m.transactions, m.rows, m.refetch, made)
	return err
}

// readMarker looks for the marker of an interrupted rewind.
func readMarker(ctx context.Context, q querier) (m marker, there bool, err error) {
	var was, claim, kind string
	var made int
	err = q.QueryRowContext(ctx, "SELECT was, claim, kind, file, transactions, changed, refetch, made_schema FROM "+markerTable).
		Scan(&was, &claim, &kind, &m.file, &m.transactions, &m.rows, &m.refetch, &made)
	var refused *driver.MySQLError
	switch {
	case errors.Is(err, sql.ErrNoRows), errors.As(err, &refused) && (refused.Number == 1146 || refused.Number == 1049 || refused.Number == 1142):
		return m, false, nil
	case err != nil:
		return m, false, fmt.Errorf("look for an interrupted rewind: %w", err)
	}
	m.madeSchema = made != 0
	if m.was, err = parseKind(kind, was); err == nil {
		m.claim, err = parseKind(kind, claim)
	}
	return m, true, err
}

// parseKind reads a position of which the kind is known; an empty GTID set is a position too.
func parseKind(kind, text string) (gtid.Position, error) {
	switch kind {
	case gtid.KindMySQL.String():
		return gtid.ParseMySQL(text)
	case gtid.KindMariaDB.String():
		return gtid.ParseMariaDB(text)
	default:
		return gtid.Parse(text)
	}
}

// drop removes the marker: the rewind is complete.
func (m marker) drop(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "DROP TABLE IF EXISTS "+markerTable)
	if err == nil && m.madeSchema {
		_, err = conn.ExecContext(ctx, "DROP DATABASE "+flavor.Schema)
	}
	return err
}
