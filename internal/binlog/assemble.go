package binlog

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/onewriter/onewriter/internal/gtid"
)

// rowsEvent is a rows event with the reason why it could not be decoded.
type rowsEvent struct {
	*replication.RowsEvent
	unreadable string
}

// assembler makes transactions of events.
type assembler struct {
	file string
	pos  uint64 // the end of the last event
	// open is the transaction that has begun; block tells that it ends with a commit, not with its first statement.
	open  *Transaction
	block bool
	// unreadable has rows events of this packet that could not be decoded.
	unreadable map[*replication.RowsEvent]string
	emit       func(Transaction) error
}

// place is how far the log was read.
func (a *assembler) place() gtid.Position { return gtid.FilePos(a.file, a.pos) }

// feed takes the next event as the server sends it.
func (a *assembler) feed(e *replication.BinlogEvent) error {
	h := e.Header
	artificial := h.Flags&replication.LOG_EVENT_ARTIFICIAL_F != 0 || h.LogPos == 0
	start := a.place()
	if !artificial {
		if uint64(h.LogPos) < a.pos {
			return fmt.Errorf("%s: offsets beyond 4 GiB: %w", a.file, ErrTooLarge)
		}
		a.pos = uint64(h.LogPos)
	}
	if r, ok := e.Event.(*replication.RotateEvent); ok {
		a.rotate(string(r.NextLogName), r.Position)
		return nil
	}
	if p, ok := e.Event.(*replication.TransactionPayloadEvent); ok {
		for _, inner := range p.Events {
			if err := a.take(inner, start); err != nil {
				return err
			}
		}
		return nil
	}
	return a.take(e, start)
}

// rotate goes to another file. A transaction that has not ended with its file was cut off by a crash and is none.
func (a *assembler) rotate(file string, pos uint64) {
	if file == a.file && pos == a.pos {
		return
	}
	a.file, a.pos, a.open = file, pos, nil
}

// take looks at one event that begins at start.
func (a *assembler) take(e *replication.BinlogEvent, start gtid.Position) error {
	switch ev := e.Event.(type) {
	case *replication.FormatDescriptionEvent:
		if e.Header.LogPos != 0 {
			a.open = nil
		}
	case *replication.GTIDEvent:
		a.begin(e.Header, start, mysqlGTID(e.Header.EventType, ev))
	case *replication.GtidTaggedLogEvent:
		a.begin(e.Header, start, mysqlGTID(e.Header.EventType, &ev.GTIDEvent))
	case *replication.MariadbGTIDEvent:
		a.begin(e.Header, start, fmt.Sprintf("%d-%d-%d", ev.GTID.DomainID, e.Header.ServerID, ev.GTID.SequenceNumber))
		a.block = !ev.IsStandalone()
	case *replication.QueryEvent:
		return a.query(e.Header, start, strings.TrimSpace(string(ev.Query)))
	case *replication.RowsEvent:
		a.rows(e.Header, start, ev)
	case *replication.XIDEvent:
		return a.finish()
	case *replication.ExecuteLoadQueryEvent:
		return a.statement(e.Header, start, "LOAD DATA in statement format")
	case *replication.GenericEvent:
		return a.generic(e.Header, start)
	}
	return nil
}

// generic takes events that the library does not decode.
func (a *assembler) generic(h *replication.EventHeader, start gtid.Position) error {
	switch h.EventType {
	case replication.XA_PREPARE_LOG_EVENT:
		a.need(h, start).Statements = append(a.open.Statements, "XA PREPARE")
		return a.finish()
	case replication.STOP_EVENT, replication.RAND_EVENT, replication.USER_VAR_EVENT, replication.IGNORABLE_EVENT,
		replication.TRANSACTION_CONTEXT_EVENT, replication.VIEW_CHANGE_EVENT, replication.MARIADB_START_ENCRYPTION_EVENT:
		return nil
	default:
		if h.Flags&replication.LOG_EVENT_IGNORABLE_F != 0 {
			return nil
		}
		return a.statement(h, start, "event "+h.EventType.String())
	}
}

// begin starts a transaction.
func (a *assembler) begin(h *replication.EventHeader, start gtid.Position, id string) {
	a.open = &Transaction{GTID: id, Server: h.ServerID, Place: start, At: time.Unix(int64(h.Timestamp), 0).UTC()}
	a.block = false
}

// need gives the open transaction; servers without GTID begin one with its first event.
func (a *assembler) need(h *replication.EventHeader, start gtid.Position) *Transaction {
	if a.open == nil {
		a.begin(h, start, "")
	}
	return a.open
}

// query takes a statement, which can be a transaction's begin or end.
func (a *assembler) query(h *replication.EventHeader, start gtid.Position, text string) error {
	switch word := strings.ToUpper(text); {
	case word == "BEGIN":
		a.need(h, start)
		a.block = true
		return nil
	case word == "COMMIT":
		return a.finish()
	case strings.HasPrefix(word, "SAVEPOINT "):
		return nil
	case strings.HasPrefix(word, "XA START "), strings.HasPrefix(word, "XA BEGIN "):
		a.need(h, start)
		a.block = true
	case word == "ROLLBACK", strings.HasPrefix(word, "XA COMMIT "), strings.HasPrefix(word, "XA ROLLBACK "):
		a.need(h, start)
		a.block = false
	}
	return a.statement(h, start, text)
}

// statement adds a statement, which is a transaction of its own outside of a block.
func (a *assembler) statement(h *replication.EventHeader, start gtid.Position, text string) error {
	t := a.need(h, start)
	t.Statements = append(t.Statements, text)
	if a.block {
		return nil
	}
	return a.finish()
}

func (a *assembler) rows(h *replication.EventHeader, start gtid.Position, e *replication.RowsEvent) {
	kind, ok := kindOf(h.EventType)
	if !ok {
		return
	}
	t := a.need(h, start)
	changes := changesOf(kind, &rowsEvent{e, a.unreadable[e]})
	for _, c := range changes {
		if len(c.Missing) > 0 || hasDiff(c.Before) || hasDiff(c.After) {
			t.Partial = true
		}
	}
	t.Changes = append(t.Changes, changes...)
}

// finish hands the open transaction out.
func (a *assembler) finish() error {
	if a.open == nil {
		return nil
	}
	t := *a.open
	a.open, a.block = nil, false
	t.End = a.place()
	return a.emit(t)
}

// mysqlGTID writes uuid[:tag]:number; "" for an anonymous transaction.
func mysqlGTID(kind replication.EventType, e *replication.GTIDEvent) string {
	if kind == replication.ANONYMOUS_GTID_EVENT || len(e.SID) != 16 || e.GNO == 0 {
		return ""
	}
	text := hex.EncodeToString(e.SID)
	var b bytes.Buffer
	for i, end := range []int{8, 12, 16, 20, 32} {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(text[[]int{0, 8, 12, 16, 20}[i]:end])
	}
	if tag := e.Tag.String(); tag != "" {
		b.WriteString(":" + tag)
	}
	b.WriteString(":" + strconv.FormatInt(e.GNO, 10))
	return b.String()
}
