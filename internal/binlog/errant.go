package binlog

import (
	"context"
	"fmt"

	"github.com/onewriter/onewriter/internal/gtid"
)

// maxChanges bounds the row changes that Errant keeps in memory.
const maxChanges = 1_000_000

// Errant gives all transactions in the server's binary log that have lacks, oldest first: by GTID, per domain and server
// on MariaDB; everything behind have when it is a file position of that log. q asks the same server. More than a
// million changed rows are ErrTooLarge. A server on which GTID is off cannot be compared with a GTID position (ErrNoLog).
func Errant(ctx context.Context, s Source, q Querier, have gtid.Position) ([]Transaction, error) {
	logs, err := Logs(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(logs) == 0 || !have.Known() {
		return nil, fmt.Errorf("compare the binary log of %s with %q: %w", s.Address, have, ErrNoLog)
	}
	from, err := Find(ctx, s, logs, have)
	if err != nil {
		return nil, err
	}
	var list []Transaction
	rows := 0
	err = Read(ctx, s, from, logs[len(logs)-1].End(), func(t Transaction) error {
		lacks, err := lacking(s, have, t)
		if err != nil || !lacks {
			return err
		}
		if rows += len(t.Changes); rows > maxChanges {
			return fmt.Errorf("list what %s alone has: %w", s.Address, ErrTooLarge)
		}
		list = append(list, t)
		return nil
	})
	return list, err
}

// lacking reports whether have lacks t.
func lacking(s Source, have gtid.Position, t Transaction) (bool, error) {
	if have.Kind() == gtid.KindFile {
		return true, nil
	}
	if t.GTID == "" {
		return false, fmt.Errorf("%s has no GTID: %w", t.Place, ErrNoLog)
	}
	parse := gtid.ParseMySQL
	if s.mariadb() {
		parse = gtid.ParseMariaDB
	}
	one, err := parse(t.GTID)
	if err != nil {
		return false, err
	}
	return !have.Contains(one), nil
}
