package session

import (
	"bytes"
	"encoding/binary"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// statement is one prepared statement of the binary protocol, under the id that its client knows.
type statement struct {
	clientID   uint32
	serverID   uint32
	generation uint32 // of the server connection that knows serverID; 0: never prepared there
	text       []byte // the COM_STMT_PREPARE packets, headers included; nil if it was not kept
	params     uint16
	types      []byte // parameter types of the last execution that sent them, as they stand in the packet
	typeCount  int    // how many types these are
	effects    sqlclass.Effect
	context    context
	lexing     sqlclass.Options // how text is to be read
	users      []string         // user variables that it names, if it assigns any; nil if they are not known
	verb       sqlclass.Verb
	readOnly   bool
	sentTypes  bool // the present server connection knows types
	cursor     bool // a cursor is open
	longData   bool // more long data awaits execution than is kept
	// long are the packets of COM_STMT_SEND_LONG_DATA that await execution, sent to the server connection of longGeneration
	long           []byte
	longGeneration uint32
}

// lastPrepared is the statement id that means "the one prepared last" to MariaDB.
const lastPrepared = 0xFFFFFFFF

// firstSpareID is where client ids start that the proxy has to make up, because the server's own is taken; it
// counts down, far away from what servers hand out.
const firstSpareID = 0xBFFFFFFF

// statements maps client ids to statements. Ids differ from the server's only after the session moved.
type statements struct {
	byID    map[uint32]*statement
	last    *statement // that the client prepared last
	there   *statement // that was prepared last on its server connection, be it by the proxy
	spare   uint32
	cursors int
	longs   int
	// longBytes is the length of all long data that statements keep, textBytes that of their texts
	longBytes, textBytes int
	// unkept counts the statements without a text
	unkept int
}

// maxTexts bounds the texts of the prepared statements of a session, in bytes, those of PREPARE apart. What is prepared beyond
// it pins the session until it is closed; what PREPARE does, until the connection is reset.
const maxTexts = 4 << 20

// keepText appends to the text of st, which is not registered yet. It reports false when that was too much: none of it is
// kept then.
func (s *statements) keepText(st *statement, pkt []byte) bool {
	if s.textBytes+len(st.text)+len(pkt) > maxTexts {
		st.text = nil
		return false
	}
	st.text = append(st.text, pkt...)
	return true
}

// count adds st to the texts, or takes it away.
func (s *statements) count(st *statement, present bool) {
	s.textBytes += delta(present) * len(st.text)
	if st.text == nil {
		s.unkept += delta(present)
	}
}

func (s *statements) find(id uint32) *statement {
	if id == lastPrepared {
		return s.last
	}
	return s.byID[id]
}

// add registers a statement that the server has just prepared under serverID and chooses its client id.
func (s *statements) add(st *statement, serverID, generation uint32) {
	if s.byID == nil {
		s.byID = make(map[uint32]*statement)
		s.spare = firstSpareID
	}
	st.serverID, st.generation, st.clientID = serverID, generation, serverID
	for s.byID[st.clientID] != nil {
		st.clientID = s.spare
		s.spare--
	}
	s.byID[st.clientID] = st
	s.last, s.there = st, st
	s.count(st, true)
}

func (s *statements) remove(st *statement) {
	s.setCursor(st, false)
	s.dropLong(st)
	s.count(st, false)
	delete(s.byID, st.clientID)
	if s.last == st {
		s.last = nil
	}
	if s.there == st {
		s.there = nil
	}
}

// keepOff sees to it that a command for a statement the client does not have (closed twice, say) does not hit another
// one that has this id on the server: after a move the two sides number differently.
func (s *statements) keepOff(pkt []byte) {
	if len(pkt) < wire.HeaderSize+5 {
		return
	}
	id := getID(pkt)
	if id == lastPrepared { // the server's last one may be one that the proxy prepared again
		putID(pkt, 0)
		return
	}
	for _, st := range s.byID {
		if st.serverID == id {
			putID(pkt, 0) // no statement has this id
			return
		}
	}
}

func (s *statements) clear() { *s = statements{} }

func (s *statements) setCursor(st *statement, open bool) {
	if st.cursor != open {
		st.cursor = open
		s.cursors += delta(open)
	}
}

func (s *statements) setLongData(st *statement, pending bool) {
	if st.longData != pending {
		st.longData = pending
		s.longs += delta(pending)
	}
}

func delta(up bool) int {
	if up {
		return 1
	}
	return -1
}

// pins are the reasons that open cursors, pending long data and statements without a text give.
func (s *statements) pins() Pin {
	var p Pin
	if s.cursors > 0 {
		p |= PinCursor
	}
	if s.longs > 0 {
		p |= PinLongData
	}
	if s.unkept > 0 {
		p |= PinUninspected
	}
	return p
}

// typesAt finds the parameter types within the packet of COM_STMT_EXECUTE: flag is the offset of the flag byte
// new_params_bind, and blob of the types when flag is 1. ok is false when the statement has no parameters or the
// packet is not what it should be; need is the size in bytes up to which the packet must be at hand.
type typesAt struct {
	flag, blob, end int
	params          int // parameters, query attributes included
	need            int
	ok              bool
}

// executeTypes parses pkt (header included) of a COM_STMT_EXECUTE of st. With query attributes the packet carries its
// own count and names after the types (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html).
func executeTypes(pkt []byte, st *statement, attributes bool) typesAt {
	const parameterCountAvailable = 0x08
	at := wire.HeaderSize + 10 // command, id, flags, iteration count
	if len(pkt) < at {
		return typesAt{need: at}
	}
	params := int(st.params)
	named := attributes
	if attributes && (params > 0 || pkt[wire.HeaderSize+5]&parameterCountAvailable != 0) {
		n, size, ok := wire.ReadLenEnc(pkt[at:])
		if !ok && len(pkt) < at+9 {
			return typesAt{need: at + 9}
		}
		if !ok || n > 1<<16 {
			return typesAt{}
		}
		params = int(n)
		at += size
	}
	if params == 0 {
		return typesAt{}
	}
	at += (params + 7) / 8
	t := typesAt{flag: at, blob: at + 1, end: at + 1, need: at + 1, params: params}
	if len(pkt) < t.need {
		return t
	}
	if pkt[at] != 1 {
		t.ok = true
		return t
	}
	return typesBlob(pkt, t, params, named)
}

func typesBlob(pkt []byte, t typesAt, params int, named bool) typesAt {
	for range params {
		if len(pkt) < t.end+2 {
			t.need = t.end + 2
			return t
		}
		t.end += 2
		if !named {
			continue
		}
		_, n, ok := wire.ReadLenEncBytes(pkt[t.end:])
		if !ok {
			t.need = max(t.end+256, len(pkt)+1) // a long name: all that can come, piece by piece
			return t
		}
		t.end += n
	}
	t.need, t.ok = t.end, true
	return t
}

// rememberTypes keeps the types of count parameters that an execution sent; it allocates only when they changed.
func (st *statement) rememberTypes(blob []byte, count int) {
	st.typeCount = count
	if !bytes.Equal(st.types, blob) {
		st.types = append(st.types[:0], blob...)
	}
}

// putID writes a statement id into the packet pkt (header included).
func putID(pkt []byte, id uint32) {
	binary.LittleEndian.PutUint32(pkt[wire.HeaderSize+1:], id)
}

func getID(pkt []byte) uint32 { return binary.LittleEndian.Uint32(pkt[wire.HeaderSize+1:]) }
