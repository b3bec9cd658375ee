package binlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/onewriter/onewriter/internal/gtid"
)

// Read calls each with the transactions of the server's binary log that lie between from and to, oldest first. Both are
// file positions of that log at the border of a transaction; to is what SHOW BINARY LOGS or the like says now, and must
// not be before from. Format, rotation and stop events are no transactions. A transaction that a crash cut off at the
// end of a file is none either. An error of each ends the reading and is returned as it is; others are ErrShort,
// ErrTooLarge, the context's or the server's.
//
// The server sends the events without their checksums; it is the server that can verify them (master_verify_checksum).
func Read(ctx context.Context, s Source, from, to gtid.Position, each func(Transaction) error) error {
	order := gtid.Relate(from, to)
	if order == gtid.Equal {
		return nil
	}
	if order != gtid.Behind {
		return fmt.Errorf("read the binary log of %s: %s does not lie before %s", s.Address, from, to)
	}
	r := reader{source: s, to: to, each: each}
	for {
		at, err := r.run(ctx, from)
		if r.failed != nil {
			return r.failed
		}
		next, cut := afterCut(err, at, to)
		if !cut {
			return wrapRead(s, at, err)
		}
		from = next
	}
}

// reader reads up to a place.
type reader struct {
	source Source
	to     gtid.Position
	each   func(Transaction) error
	failed error // of each, which is returned as it is
}

// run reads from the place from on and tells how far it came.
func (r *reader) run(ctx context.Context, from gtid.Position) (gtid.Position, error) {
	a := newAssembler(from, func(t Transaction) error {
		if r.to.Contains(t.End) {
			r.failed = r.each(t)
		}
		return r.failed
	})
	d := &dump{unreadable: a.unreadable, handle: func(e *replication.BinlogEvent) error {
		if err := a.feed(e); err != nil {
			return err
		}
		if a.place().Contains(r.to) {
			return errDone
		}
		return nil
	}}
	err := dumpEvents(ctx, r.source, from, d)
	return a.place(), err
}

func wrapRead(s Source, at gtid.Position, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read the binary log of %s at %s: %w", s.Address, at, err)
}

func newAssembler(from gtid.Position, emit func(Transaction) error) *assembler {
	a := &assembler{emit: emit, unreadable: map[*replication.RowsEvent]string{}}
	a.file, a.pos, _ = from.File()
	return a
}

// afterCut recognises an event that a crash has cut off (error 1236) in a file which is not the last one, and gives the
// beginning of the next file.
func afterCut(err error, at, to gtid.Position) (next gtid.Position, cut bool) {
	var refused *mysql.MyError
	if !errors.As(err, &refused) || refused.Code != mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG || !strings.Contains(refused.Message, "truncated") {
		return gtid.Position{}, false
	}
	file, _, _ := at.File()
	last, _, _ := to.File()
	name, ok := nextLog(file)
	if !ok || file == last {
		return gtid.Position{}, false
	}
	return gtid.FilePos(name, 4), true
}

// nextLog gives the name of the file that follows.
func nextLog(file string) (string, bool) {
	i := strings.LastIndexByte(file, '.')
	if i < 0 {
		return "", false
	}
	var n uint64
	if _, err := fmt.Sscanf(file[i+1:], "%d", &n); err != nil {
		return "", false
	}
	return fmt.Sprintf("%s.%0*d", file[:i], len(file)-i-1, n+1), true
}
