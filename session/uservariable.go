package session

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

const (
	// maxUserVariables is how many user variables a session can have and still move.
	maxUserVariables = sqlclass.MaxUserVariables
	// maxConstant is how long a value may be that is kept from the text of its assignment, in bytes.
	maxConstant = 4 << 10
	// maxFetched bounds the values of all of them, in bytes of the answer; strings count twice.
	maxFetched = 1 << 20
)

// userVariable is a user variable that the session may have assigned.
type userVariable struct {
	name string // as the server compares it: lower case, ASCII, without @ and quotes
	// source is SQL that gives the value; "" while only the server knows it.
	source string
	// charsets is the count of character set changes that source is bound to: a plain string literal takes the collation
	// of its connection. 0 when it is bound to none.
	charsets uint32
	// typed is what it is given before, when source is NULL: a variable keeps the type and collation that it had.
	typed string
	// absent says that there is no such variable on the server: it was only named.
	absent bool
	// prepared says that the text of a statement prepared by PREPARE names it, so that any EXECUTE may assign it.
	prepared bool
}

// userVariables is what is known of them.
type userVariables struct {
	list []userVariable
	// lost says that there are some which cannot be restored: too many, or with names that are no ASCII.
	lost bool
}

func (u *userVariables) find(name string) *userVariable {
	for i := range u.list {
		if u.list[i].name == name {
			return &u.list[i]
		}
	}
	if len(u.list) == maxUserVariables || !isASCII(name) {
		u.lost = true
		return nil
	}
	u.list = append(u.list, userVariable{name: name})
	return &u.list[len(u.list)-1]
}

// assigned notes that the variables called names may have got other values.
func (u *userVariables) assigned(names []string, prepared bool) {
	for _, n := range names {
		if v := u.find(n); v != nil {
			v.forget()
			v.prepared = v.prepared || prepared
		}
	}
}

// doubt forgets the values: code that is not in the text ran. With prepared, only those that texts of PREPARE name.
func (u *userVariables) doubt(prepared bool) {
	for i := range u.list {
		if v := &u.list[i]; !prepared || v.prepared {
			v.forget()
		}
	}
}

// forget says that only the server knows the value now.
func (v *userVariable) forget() { v.source, v.typed, v.absent = "", "", false }

// unknown reports whether some value is known to the server only.
func (u *userVariables) unknown(charsets uint32) bool {
	for i := range u.list {
		if v := &u.list[i]; v.source == "" || v.charsets != 0 && v.charsets != charsets {
			return true
		}
	}
	return false
}

// sql assigns all values, "" if there are none.
func (u *userVariables) sql() string {
	var b strings.Builder
	for _, v := range u.list {
		if v.absent {
			continue
		}
		if v.typed != "" {
			writeAssignment(&b, v.name, v.typed)
		}
		writeAssignment(&b, v.name, v.source)
	}
	return b.String()
}

func writeAssignment(b *strings.Builder, name, source string) {
	if b.Len() == 0 {
		b.WriteString("SET ")
	} else {
		b.WriteByte(',')
	}
	writeUserName(b, name)
	b.WriteByte('=')
	b.WriteString(source)
}

func writeUserName(b *strings.Builder, name string) {
	b.WriteString("@`")
	b.WriteString(strings.ReplaceAll(name, "`", "``"))
	b.WriteByte('`')
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] == 0 {
			return false
		}
	}
	return true
}

// learnUserVariables notes what the command under way may have assigned.
func (c *Core) learnUserVariables() {
	e, u := c.effects, &c.ledger.users
	if e.Has(sqlclass.Opaque | sqlclass.UnknownFunction | sqlclass.Unclear) {
		u.doubt(e.Has(sqlclass.TextExecute) && !e.Has(sqlclass.UnknownFunction|sqlclass.Unclear))
	}
	if !e.Has(sqlclass.UserVariable) {
		return
	}
	if c.cmd.Code != wire.ComQuery {
		if c.stmt != nil {
			u.lost = u.lost || c.stmt.users == nil
			u.assigned(c.stmt.users, false)
		}
		return
	}
	single := c.cmd.Statement.Verb == sqlclass.Set && !e.Has(sqlclass.Multi)
	conditional := sqlclass.Conditional(c.scratch, c.lexed)
	if conditional && single && c.tracking && !c.saw.state && !c.saw.failed {
		return // both flavours report a SET that they run
	}
	names, ok := sqlclass.UserVariables(c.scratch, c.lexed)
	u.lost = u.lost || !ok
	u.assigned(names, e.Has(sqlclass.TextPrepare))
	if c.saw.failed || !single || conditional {
		return
	}
	for _, a := range sqlclass.ConstantUserVariables(c.scratch, c.lexed) {
		v := u.find(a.Name)
		if v == nil {
			continue
		}
		v.forget()
		if strings.EqualFold(a.Value, "null") || len(a.Value) > maxConstant {
			continue // the type of NULL is that of the value before
		}
		v.source, v.charsets = a.Value, 0
		if a.Value[0] == '\'' {
			v.charsets = c.charsets
		}
	}
}

// lost are the pins of a session whose server connection is gone: what only the server knew.
func (l *ledger) lost() (p Pin) {
	if l.users.unknown(l.charsets) {
		p |= PinUserVariable
	}
	if l.insertIDSet {
		p |= PinInsertID
	}
	if l.unread() > 0 {
		p |= PinUnknown
	}
	return p
}

// Fetch gives a query for what only the server connection knows of the session: user variables, system variables that an
// expression set and no report named, LAST_INSERT_ID() where answers did not tell it for certain, and how many named locks it
// has, of which routines and triggers tell nothing. It releases these: the connection is left, with or without a successor. It is
// to be asked before the session leaves the server on purpose; nil means that there is nothing to ask. The answer is a prelude. A session whose server connection is lost before that is pinned by what was
// not known; see Pins.
func (c *Core) Fetch() []byte {
	u := &c.ledger.users
	locks := c.config.ReleasesLocks && c.ledger.ranCode
	if !c.attached || c.Pins() != 0 || len(u.list) == 0 && !c.ledger.insertIDSet && !c.ledger.insertIDStale && c.ledger.unread() == 0 && !locks {
		return nil
	}
	var b strings.Builder
	b.WriteString("SELECT LAST_INSERT_ID()")
	if c.config.ReleasesLocks {
		b.WriteString(",RELEASE_ALL_LOCKS()")
	}
	for _, v := range u.list {
		b.WriteByte(',')
		writeUserName(&b, v.name)
		b.WriteString(",HEX(")
		writeUserName(&b, v.name)
		b.WriteString("),COLLATION(")
		writeUserName(&b, v.name)
		b.WriteByte(')')
	}
	for _, v := range c.ledger.variables {
		if v.unread {
			b.WriteString(",HEX(CONVERT(@@SESSION." + v.name + " USING utf8mb4))")
		}
	}
	b.WriteString(" LIMIT 1") // sql_select_limit may be 0
	c.prelude.begin(c.features)
	c.prelude.fetched = make([]byte, 0, 256)
	c.scratch = c.appendQuery(c.scratch[:0], b.String(), "read variables")
	c.prelude.queue[0].fetch = true
	return c.scratch
}

// errNotFetched says that an answer to Fetch could not be understood.
var errNotFetched = errors.New("session: variables cannot be read")

// fetchedAhead is how many columns of the answer to Fetch come before those of the variables.
func (c *Core) fetchedAhead() int {
	if c.config.ReleasesLocks {
		return 2
	}
	return 1
}

// fetched takes the answer to Fetch out of its packets.
func (c *Core) fetched(b []byte) error {
	types, row, ok := c.splitFetched(b)
	u := &c.ledger.users
	ahead := c.fetchedAhead()
	if !ok || len(types) != ahead+3*len(u.list)+c.ledger.unread() || len(row) != len(types) {
		return errNotFetched
	}
	if !c.ledger.read(row[ahead+3*len(u.list):]) {
		return errNotFetched
	}
	if ahead > 1 && string(row[1].value) != "0" {
		c.ledger.pins |= PinNamedLock
	}
	id, err := strconv.ParseUint(string(row[0].value), 10, 64)
	if err != nil {
		return errNotFetched
	}
	list := make([]userVariable, len(u.list))
	for i, v := range u.list {
		at := ahead + 3*i
		v.forget()
		v.charsets = 0
		t := types[at]
		if v.source = t.source(row[at], row[at+1], row[at+2]); v.source == "" {
			return errNotFetched
		}
		if row[at].null {
			v.absent = t.unset(c.config.Flavor)
			v.typed = t.typed(row[at+2])
		}
		list[i] = v
	}
	u.list = list
	c.ledger.insertID, c.ledger.insertIDSet, c.ledger.insertIDStale, c.ledger.ranCode = id, false, false, false
	return nil
}

// read takes the values of the variables that are unread, in their order.
func (l *ledger) read(row []field) bool {
	for i := range l.variables {
		v := &l.variables[i]
		if !v.unread {
			continue
		}
		value, err := hex.DecodeString(string(row[0].value))
		if err != nil {
			return false
		}
		*v = variable{name: v.name, value: string(value)}
		if row[0].null {
			v.value, v.raw = "NULL", true
		}
		row = row[1:]
	}
	return true
}

// columnType is what a column definition says of a value.
type columnType struct {
	kind     byte
	unsigned bool
	length   uint32
}

// field is one value of a text row.
type field struct {
	value []byte
	null  bool
}

// splitFetched cuts the packets of a result set of one row. Definitions are read because only they tell the type of a
// user variable; a server that was asked to leave them out (resultset_metadata=NONE) cannot be asked this way.
func (c *Core) splitFetched(b []byte) (types []columnType, row []field, ok bool) {
	payload, b, ok := nextPacket(b)
	if !ok {
		return nil, nil, false
	}
	count, _, ok := wire.ReadLenEnc(payload)
	if !ok || count == 0 || count != uint64(c.fetchedAhead()+3*len(c.ledger.users.list)+c.ledger.unread()) {
		return nil, nil, false
	}
	for range count {
		if payload, b, ok = nextPacket(b); !ok {
			return nil, nil, false
		}
		t, ok := c.definition(payload)
		if !ok {
			return nil, nil, false
		}
		types = append(types, t)
	}
	if !c.features.DeprecateEOF {
		_, b, _ = nextPacket(b)
	}
	if payload, _, ok = nextPacket(b); !ok {
		return nil, nil, false
	}
	for len(payload) > 0 {
		if payload[0] == 0xFB {
			row, payload = append(row, field{null: true}), payload[1:]
			continue
		}
		v, n, ok := wire.ReadLenEncBytes(payload)
		if !ok {
			return nil, nil, false
		}
		// Under character_set_results=ucs2 and the like all is in that: ASCII, but for the strings themselves, which are not used.
		row, payload = append(row, field{value: bytes.ReplaceAll(v, []byte{0}, nil)}), payload[n:]
	}
	return types, row, true
}

func nextPacket(b []byte) (payload, rest []byte, ok bool) {
	if len(b) < wire.HeaderSize || len(b) < wire.HeaderSize+wire.PayloadLen(b) {
		return nil, nil, false
	}
	end := wire.HeaderSize + wire.PayloadLen(b)
	return b[wire.HeaderSize:end], b[end:], true
}

// definition reads a column definition: six strings (and MariaDB's extended metadata), the length of the rest, character
// set (2), length (4), type (1), flags (2).
func (c *Core) definition(b []byte) (columnType, bool) {
	strs := 6
	if c.config.Server.Has(wire.MariaDBExtendedMetadata) {
		strs++
	}
	for range strs {
		_, n, ok := wire.ReadLenEncBytes(b)
		if !ok {
			return columnType{}, false
		}
		b = b[n:]
	}
	const unsignedFlag = 32
	if len(b) < 10 {
		return columnType{}, false
	}
	return columnType{kind: b[7], length: binary.LittleEndian.Uint32(b[3:]), unsigned: binary.LittleEndian.Uint16(b[8:])&unsignedFlag != 0}, true
}

// Further types of user variables (enum_field_types).
const (
	typeDouble    = 5
	typeVarString = 253 // typeText, in these definitions
)

// source is SQL that makes the value again, with its type, character set and collation; "" if that is not possible.
func (t columnType) source(value, hex, collation field) string {
	v := string(value.value)
	switch {
	case value.null:
		return "NULL"
	case t.kind == typeLongLong && t.unsigned:
		return "CAST(" + v + " AS UNSIGNED)"
	case t.kind == typeLongLong:
		return v
	case t.kind == typeDecimal && strings.Contains(v, "."):
		return v
	case t.kind == typeDecimal:
		return "CAST(" + v + " AS DECIMAL(65,0))"
	case t.kind == typeDouble && strings.ContainsAny(v, "eE"):
		return v
	case t.kind == typeDouble:
		return v + "e0"
	case hex.null || collation.null:
		return ""
	case string(collation.value) == "binary":
		return "_binary X'" + string(hex.value) + "'"
	}
	charset, _, _ := strings.Cut(string(collation.value), "_")
	return "_" + charset + " X'" + string(hex.value) + "' COLLATE " + string(collation.value)
}

// unset reports whether a NULL of this type comes from a variable that was never assigned, which the flavours describe in
// ways that no assigned one has (seen on MariaDB 10.11 and MySQL 9.7).
func (t columnType) unset(f Flavor) bool {
	if f == MySQL {
		return t.kind == typeVarString
	}
	return t.length == 1<<24
}

// typed is a value of the type and collation of a variable that is NULL, "" if it has never had another value.
func (t columnType) typed(collation field) string {
	switch {
	case t.kind == typeLongLong && t.unsigned:
		return "CAST(0 AS UNSIGNED)"
	case t.kind == typeLongLong:
		return "0"
	case t.kind == typeDecimal:
		return "0.0"
	case t.kind == typeDouble:
		return "0e0"
	case collation.null || string(collation.value) == "binary":
		return ""
	}
	charset, _, _ := strings.Cut(string(collation.value), "_")
	return "_" + charset + " X'' COLLATE " + string(collation.value)
}
