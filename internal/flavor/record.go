package flavor

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
)

// record is one row of a SHOW statement by column name. Names are lower case, with the old words master and slave
// for source and replica, so that one reader fits all versions.
type record map[string]sql.NullString

var oldWords = strings.NewReplacer("source", "master", "replica", "slave")

// columnKey gives the key under which the column called name is kept.
func columnKey(name string) string { return oldWords.Replace(strings.ToLower(name)) }

func (r record) str(key string) string { return r[key].String }

func (r record) uint(key string) uint64 {
	n, err := strconv.ParseUint(r[key].String, 10, 64)
	if err != nil {
		return 0 // NULL, "" or a column this version does not have
	}
	return n
}

func (r record) bool(key string) bool { return truth(r[key].String) }

// truth reads a switch as servers print it. MariaDB 12 knows more values of read_only than ON, all of which are on.
func truth(s string) bool {
	switch strings.ToUpper(s) {
	case "", "0", "OFF", "NO", "FALSE":
		return false
	default:
		return true
	}
}

// records runs query and reads all rows.
func records(ctx context.Context, q Querier, query string, args ...any) (out []record, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(columns))
	for i, c := range columns {
		keys[i] = columnKey(c)
	}
	values := make([]sql.NullString, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		r := make(record, len(keys))
		for i, k := range keys {
			r[k] = values[i]
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// oneRecord runs query and gives its first row; without rows, an empty record.
func oneRecord(ctx context.Context, q Querier, query string, args ...any) (record, error) {
	rs, err := records(ctx, q, query, args...)
	if err != nil || len(rs) == 0 {
		return record{}, err
	}
	return rs[0], nil
}

// literal quotes s for statements that take no placeholders (CHANGE MASTER and the like).
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\x00", `\0`).Replace(s) + "'"
}

// exec runs statements one after another.
func exec(ctx context.Context, q Querier, statements ...string) error {
	for _, s := range statements {
		if _, err := q.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
