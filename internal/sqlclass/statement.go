package sqlclass

import "strconv"

// Txn is what a text does to the transaction of its session by explicit
// transaction control. Implicit commits and autocommit are left to the server's
// status flags.
type Txn uint8

// The kinds of transaction control.
const (
	TxnNone  Txn = iota
	TxnBegin     // BEGIN, START TRANSACTION, XA START
	TxnEnd       // COMMIT, ROLLBACK, XA COMMIT, XA ROLLBACK
	TxnChain     // COMMIT or ROLLBACK AND CHAIN: ends one, begins the next
)

// String returns the metric label.
func (t Txn) String() string {
	switch t {
	case TxnNone:
		return "none"
	case TxnBegin:
		return "begin"
	case TxnEnd:
		return "end"
	case TxnChain:
		return "chain"
	}
	return "invalid"
}

// Multibyte is the shape of a client character set whose trailing bytes may look
// like ASCII quotes or backslashes.
type Multibyte uint8

// The shapes.
const (
	// ASCIISafe is every character set whose bytes below 0x80 are always ASCII:
	// utf8mb4, utf8mb3, latin1, euckr, gb2312, ujis ... It is the zero value.
	ASCIISafe Multibyte = iota
	// DoubleByte is gbk, gb18030 and big5: bytes 0x81 to 0xFE lead a pair.
	DoubleByte
	// ShiftJIS is sjis and cp932: bytes 0x81-0x9F and 0xE0-0xFC lead a pair.
	ShiftJIS
)

// MultibyteOf returns the shape of the character set with the given MySQL name
// (the value of character_set_client, lower case).
func MultibyteOf(charset string) Multibyte {
	switch charset {
	case "gbk", "gb18030", "big5":
		return DoubleByte
	case "sjis", "cp932":
		return ShiftJIS
	default:
		return ASCIISafe
	}
}

// Options are the settings of the session that change how its text is read. The
// zero value is a server's default.
type Options struct {
	// NoBackslashEscapes says that sql_mode contains NO_BACKSLASH_ESCAPES.
	NoBackslashEscapes bool
	// Multibyte is the shape of character_set_client.
	Multibyte Multibyte
}

// Statement is what is known of a text. It is a plain value.
type Statement struct {
	// Verb is the verb of the first statement.
	Verb Verb
	// Txn is the transaction control of the last statement that has any.
	Txn Txn
	// ReadOnly says that all statements only read data: they write nothing, take
	// no locks beyond their own run and leave nothing in the session. Statements
	// about the session itself (SET, USE, BEGIN, COMMIT) are not ReadOnly. Views
	// that call stored functions cannot be seen.
	ReadOnly bool
	// Count is the number of statements; empty ones do not count.
	Count int
	// Effects is the union over all statements.
	Effects Effect
	// Open says that the text is Unclear only because it ends within quotes or a comment, as the beginning of a longer one does.
	Open bool
}

// String writes the statement as tests and debug logs want it, for example
// "select ro last_insert_id_read" or "set x2 set_names,set_variable,multi".
func (s Statement) String() string {
	out := s.Verb.String()
	if s.Count > 1 {
		out += " x" + strconv.Itoa(s.Count)
	}
	if s.ReadOnly {
		out += " ro"
	}
	if s.Txn != TxnNone {
		out += " txn=" + s.Txn.String()
	}
	if s.Effects != 0 {
		out += " " + s.Effects.String()
	}
	return out
}
