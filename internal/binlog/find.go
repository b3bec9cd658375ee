package binlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/onewriter/onewriter/internal/gtid"
)

// Querier runs a query; *sql.DB and *sql.Conn are Queriers.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Log is one file of a server's binary log.
type Log struct {
	Name string
	// Size is where it ends, in bytes, as positions count.
	Size uint64
}

// End is the place at the end of the file.
func (l Log) End() gtid.Position { return gtid.FilePos(l.Name, l.Size) }

// encryptionHeader is what SHOW BINARY LOGS counts in an encrypted file of MySQL and positions do not.
const encryptionHeader = 512

// Logs lists the files of the server's binary log, oldest first; the end of the last one is the end of the log.
func Logs(ctx context.Context, q Querier) (logs []Log, err error) {
	rows, err := q.QueryContext(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return nil, fmt.Errorf("list the binary logs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var l Log
		var encrypted sql.NullString
		targets := []any{&l.Name, &l.Size, &encrypted}
		if err := rows.Scan(targets[:min(len(columns), len(targets))]...); err != nil {
			return nil, fmt.Errorf("list the binary logs: %w", err)
		}
		if strings.EqualFold(encrypted.String, "yes") && l.Size >= encryptionHeader {
			l.Size -= encryptionHeader
		}
		logs = append(logs, l)
	}
	return logs, rows.Err()
}

// Find gives the place from which on the log has to be read to see every transaction that have lacks: the beginning of
// the newest file that was begun with nothing but what have has. A file position is a place in that log itself. The
// error is ErrPurged when no file is old enough.
func Find(ctx context.Context, s Source, logs []Log, have gtid.Position) (gtid.Position, error) {
	if have.Kind() == gtid.KindFile {
		file, pos, _ := have.File()
		for _, l := range logs {
			if l.Name == file && l.Size >= pos {
				return have, nil
			}
		}
		return gtid.Position{}, fmt.Errorf("find %s: %w", have, ErrPurged)
	}
	var failed error
	n := sort.Search(len(logs), func(i int) bool {
		if failed != nil {
			return true
		}
		state, err := stateAt(ctx, s, logs[i])
		if err != nil {
			failed = err
		}
		return !have.Contains(state)
	})
	switch {
	case failed != nil:
		return gtid.Position{}, failed
	case n == 0:
		return gtid.Position{}, fmt.Errorf("find what %q lacks: %w", have, ErrPurged)
	default:
		return gtid.FilePos(logs[n-1].Name, 4), nil
	}
}

// stateAt reads what the server had when it began the file.
func stateAt(ctx context.Context, s Source, l Log) (gtid.Position, error) {
	var state gtid.Position
	d := &dump{handle: func(e *replication.BinlogEvent) (err error) {
		switch ev := e.Event.(type) {
		case *replication.PreviousGTIDsEvent:
			state, err = gtid.ParseMySQL(ev.GTIDSets)
		case *replication.MariadbGTIDListEvent:
			state, err = gtid.ParseMariaDB(listText(ev))
		default:
			return nil
		}
		if err != nil {
			return err
		}
		return errDone
	}}
	if err := dumpEvents(ctx, s, gtid.FilePos(l.Name, 4), d); err != nil {
		if errors.Is(err, ErrShort) {
			err = ErrNoLog
		}
		return gtid.Position{}, fmt.Errorf("read the beginning of %s of %s: %w", l.Name, s.Address, err)
	}
	return state, nil
}

func listText(e *replication.MariadbGTIDListEvent) string {
	text := make([]string, len(e.GTIDs))
	for i, g := range e.GTIDs {
		text[i] = fmt.Sprintf("%d-%d-%d", g.DomainID, g.ServerID, g.SequenceNumber)
	}
	return strings.Join(text, ",")
}
