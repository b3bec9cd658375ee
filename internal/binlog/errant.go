package binlog

import (
	"context"
	"fmt"

	"github.com/onewriter/onewriter/internal/gtid"
)

// maxChanges bounds the row changes that Errant and Tail keep in memory.
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
	return collect(ctx, s, from, logs[len(logs)-1].End(), func(t Transaction) (bool, error) { return lacking(s, have, t) })
}

// Tail gives all transactions from the place from, the border of a transaction, to the end of the server's binary log,
// oldest first: also those that it has replicated. q asks the same server. More than a million changed rows are
// ErrTooLarge.
func Tail(ctx context.Context, s Source, q Querier, from gtid.Position) ([]Transaction, error) {
	logs, err := Logs(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(logs) == 0 {
		return nil, fmt.Errorf("read the binary log of %s: %w", s.Address, ErrNoLog)
	}
	return collect(ctx, s, from, logs[len(logs)-1].End(), func(Transaction) (bool, error) { return true, nil })
}

// collect reads the transactions that are wanted.
func collect(ctx context.Context, s Source, from, to gtid.Position, wanted func(Transaction) (bool, error)) ([]Transaction, error) {
	var list []Transaction
	rows := 0
	err := Read(ctx, s, from, to, func(t Transaction) error {
		want, err := wanted(t)
		if err != nil || !want {
			return err
		}
		if rows += len(t.Changes); rows > maxChanges {
			return fmt.Errorf("list transactions of %s: %w", s.Address, ErrTooLarge)
		}
		list = append(list, t)
		return nil
	})
	return list, err
}

// HistoryAt gives what a MariaDB server had, per domain and server, when its binary log ended at the place at, the
// border of a transaction.
func HistoryAt(ctx context.Context, s Source, at gtid.Position) (gtid.Position, error) {
	file, _, _ := at.File()
	state, err := stateAt(ctx, s, Log{Name: file})
	if err != nil {
		return gtid.Position{}, err
	}
	err = Read(ctx, s, gtid.FilePos(file, 4), at, func(t Transaction) error {
		one, err := gtid.ParseMariaDB(t.GTID)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Place, err)
		}
		state = gtid.Union(state, one)
		return nil
	})
	return state, err
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
