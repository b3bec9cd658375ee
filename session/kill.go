package session

import (
	"encoding/binary"
	"strconv"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// Kill is a command that ends a connection or its statement: KILL as text or prepared, or COM_PROCESS_KILL.
type Kill struct {
	Kind sqlclass.KillKind
	// ID is the connection as the client calls it.
	ID uint64
	// More says that other statements follow in the same text.
	More bool

	head, tail []byte // of the statement's text, before and behind the id; nil for COM_PROCESS_KILL
	start, end int    // the id within the packet that Peek saw; 0 where it cannot be replaced there
	from, stop int    // the statement within that packet, without the semicolon behind it
}

// AppendTo appends the payload of a command that does the same, and nothing else, to the connection id: COM_QUERY without
// attributes, or COM_PROCESS_KILL.
func (k Kill) AppendTo(dst []byte, id uint32) []byte {
	if k.head == nil {
		return binary.LittleEndian.AppendUint32(append(dst, wire.ComProcessKill), id)
	}
	dst = append(append(dst, wire.ComQuery), k.head...)
	return append(strconv.AppendUint(dst, uint64(id), 10), k.tail...)
}

// Replaceable reports whether Retarget can put another id into the command itself. It can't where the id is the value of
// a parameter.
func (k Kill) Replaceable() bool { return k.end > 0 }

// Kills reports whether the command is about ending a connection, so that Kill has to be asked.
func (c Command) Kills() bool {
	return c.Code == wire.ComProcessKill || c.Statement.Effects.Has(sqlclass.KillThread) && c.Code != wire.ComStmtPrepare
}

// Kill gives the connection that the command in buf, which Peek has seen, wants to end. It is false where that is not a
// number (KILL USER, KILL QUERY ID, an expression) or not the first statement: the server then takes it as it is. The
// result is valid until buf changes.
func (c *Core) Kill(buf []byte) (Kill, bool) {
	pkt := buf[:min(len(buf), wire.HeaderSize+wire.PayloadLen(buf))]
	if wire.PayloadLen(buf) != len(pkt)-wire.HeaderSize {
		return Kill{}, false
	}
	switch pkt[wire.HeaderSize] {
	case wire.ComProcessKill:
		if len(pkt) < wire.HeaderSize+5 {
			return Kill{}, false
		}
		return Kill{ID: uint64(getID(pkt)), start: wire.HeaderSize + 1, end: wire.HeaderSize + 5}, true
	case wire.ComQuery:
		text, ok := c.text(pkt)
		if !ok {
			return Kill{}, false
		}
		k, at, ok := c.killOf(text)
		base := len(pkt) - len(text)
		k.start, k.end = base+at.Start, base+at.End
		k.from, k.stop = base, base+at.Stop
		return k, ok && !at.Placeholder && (!k.More || c.severalAllowed())
	case wire.ComStmtExecute:
		st := c.findIn(pkt)
		if st == nil || len(st.text) <= wire.HeaderSize {
			return Kill{}, false
		}
		k, at, ok := c.killOf(st.text[wire.HeaderSize+1:])
		if ok && at.Placeholder {
			k.ID, ok = c.firstNumber(pkt, st)
		}
		return k, ok && !k.More
	default:
		return Kill{}, false
	}
}

// KilledUser gives the user whose connections the command in buf, which Peek has seen, ends: a KILL USER of MariaDB. It is
// "" for others, and where a host is named, which the server knows best.
func (c *Core) KilledUser(buf []byte) string {
	n := wire.PayloadLen(buf)
	if c.config.Flavor != MariaDB || len(buf) < wire.HeaderSize+n || buf[wire.HeaderSize] != wire.ComQuery {
		return ""
	}
	text, ok := c.text(buf[:wire.HeaderSize+n])
	if !ok {
		return ""
	}
	return sqlclass.KilledUser(text, c.lexing())
}

func (c *Core) killOf(text []byte) (Kill, sqlclass.KillOperand, bool) {
	at, ok := sqlclass.KillTarget(text, c.lexing())
	if !ok {
		return Kill{}, at, false
	}
	return Kill{Kind: at.Kind, ID: at.ID, More: at.More, head: text[:at.Start:at.Start], tail: text[at.End:at.Stop]}, at, true
}

// severalAllowed reports whether the server takes several statements in one text; otherwise it refuses all of them.
func (c *Core) severalAllowed() bool {
	if o := c.ledger.option; o >= 0 {
		return o == 0 // MYSQL_OPTION_MULTI_STATEMENTS_ON
	}
	return c.config.Client.Has(wire.ClientMultiStatements)
}

// maxKillExecute is how much of the execution of a prepared KILL is looked at, in bytes: all of it.
const maxKillExecute = 4096

// Column types of whole numbers, and of texts, in the binary protocol
// (https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html).
const (
	typeTiny, typeShort, typeLong, typeLongLong = 0x01, 0x02, 0x03, 0x08
	typeDecimal, typeVarchar, typeText, typeStr = 0xF6, 0x0F, 0xFD, 0xFE
)

// firstNumber is the value of the first parameter in the COM_STMT_EXECUTE pkt of st.
func (c *Core) firstNumber(pkt []byte, st *statement) (uint64, bool) {
	t := executeTypes(pkt, st, c.config.Client.Has(wire.ClientQueryAttributes))
	if !t.ok || t.params == 0 || t.need > len(pkt) {
		return 0, false
	}
	if null := t.flag - (t.params+7)/8; pkt[null]&1 != 0 {
		return 0, false
	}
	types := st.types
	if t.end > t.blob {
		types = pkt[t.blob:t.end]
	}
	if len(types) == 0 {
		return 0, false
	}
	return binaryNumber(types[0], pkt[t.end:])
}

func binaryNumber(kind byte, value []byte) (uint64, bool) {
	size := 0
	switch kind {
	case typeTiny:
		size = 1
	case typeShort:
		size = 2
	case typeLong:
		size = 4
	case typeLongLong:
		size = 8
	case typeDecimal, typeVarchar, typeText, typeStr:
		text, _, ok := wire.ReadLenEncBytes(value)
		id, err := strconv.ParseUint(string(text), 10, 64)
		return id, ok && err == nil
	}
	if size == 0 || len(value) < size {
		return 0, false
	}
	var b [8]byte
	copy(b[:], value[:size])
	return binary.LittleEndian.Uint64(b[:]), true
}

// Retarget makes the next Begin send the kill k, which is the command in its buffer, to the connection id.
func (c *Core) Retarget(k Kill, id uint32) { c.retarget = retarget{kill: k, id: id} }

// Omit makes the next Begin send the text of k, whose first statement that is and which has been carried out by other
// means, with a statement that does nothing in its place: the client expects an answer for it before those of the others.
func (c *Core) Omit(k Kill) { c.retarget = retarget{kill: k, done: true} }

// retarget is what Retarget and Omit leave to Begin.
type retarget struct {
	kill Kill
	id   uint32
	done bool
}

// retargeted gives pkt with the id of c.retarget instead of its own.
func (c *Core) retargeted(pkt []byte) []byte {
	r := c.retarget
	c.retarget = retarget{}
	switch k := r.kill; {
	case !k.Replaceable() || k.end > len(pkt):
		return pkt
	case k.head == nil:
		putID(pkt, r.id)
		return pkt
	case r.done:
		return spliced(nil, pkt, k.from, k.stop, []byte("DO 0"))
	default: // in memory of its own: c.scratch keeps the text
		return spliced(nil, pkt, k.start, k.end, strconv.AppendUint(nil, uint64(r.id), 10))
	}
}

// ErrorCode is the code of the error that the server answered the last command with, 0 if it did not.
func (c *Core) ErrorCode() uint16 { return c.saw.code }

// Succeeded reports whether the command under way, or the first of several statements in it, was answered with an OK.
func (c *Core) Succeeded() bool { return c.saw.ok }

// AffectedRows is how many rows the last OK that answered the command said to have been changed; of a KILL USER, connections.
func (c *Core) AffectedRows() uint64 { return c.saw.rows }

// AppendOK appends the payload of an OK that the driver answers a command with by itself: no rows were changed, and the
// session is as it was.
func (c *Core) AppendOK(dst []byte) []byte {
	s := c.ledger.status &^ wire.StatusSessionStateChanged
	return append(dst, wire.HeaderOK, 0, 0, byte(s), byte(s>>8), 0, 0)
}
