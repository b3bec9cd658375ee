package session

import (
	"slices"
	"strconv"
	"strings"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// variable is one system variable whose session value was changed.
type variable struct {
	name   string
	value  string
	raw    bool   // value is SQL source text, not the value the server reported
	unread bool   // only the server knows the value
	at     uint32 // the command that the server reported it for
}

// preparedText is a statement prepared by the SQL statement PREPARE.
type preparedText struct {
	name    string
	sql     string // the whole PREPARE statement
	context context
	silent  bool // its execution may set variables without a report
	runs    bool // it runs code that is not in the text
}

// ledger is what is known of the session's state on its server. It belongs to its session.
type ledger struct {
	schema    string
	variables []variable
	// names is what the last SET NAMES or SET CHARACTER SET said where the variables do not tell all, "NAMES utf8mb4 COLLATE
	// utf8mb4_bin": it gives character_set_results a collation too, which metadata shows. Character sets in variables were set after it.
	names       string
	namesSchema string // the default schema then, where that matters
	flavor      Flavor
	collation   uint16 // id of the collation named at login
	// schemaUTF8: a server has reported schema, in UTF-8; the client named it in its own character set
	schemaUTF8 bool
	// settings is cached by context; settingsAt is the settingsCount that it is of
	settings                  string
	settingsAt, settingsCount uint32
	role                      string // the last SET ROLE statement
	texts                     []preparedText
	txnChars                  []byte // SQL that restores what SET TRANSACTION said of the next transaction
	option                    int8   // last COM_SET_OPTION, -1 if none
	reset                     bool   // COM_RESET_CONNECTION was done: variables are the server's defaults, not the handshake's
	pins                      Pin
	vague                     Pin // those of pins that no statement is known to take away
	holdings                  []holding
	lock                      bool // LOCK TABLES is held, as the transaction state tells
	// unsure: code that is not in the text failed, and an ERR packet does not tell whether it had begun a transaction
	unsure  bool
	command uint32 // counts commands
	status  wire.Status
	// roleUnknown says that some SET ROLE was done, and not which; no reset of the connection changes the role
	roleUnknown bool
	used        bool   // the schema was chosen since COM_RESET_CONNECTION
	insertID    uint64 // that the last answer named
	// insertIDStale: LAST_INSERT_ID() may be another than insertID: answers name ids that the statement gave too
	insertIDStale bool
	// insertIDSet: LAST_INSERT_ID was set by an expression, whose value only the server knows
	insertIDSet bool
	users       userVariables
	// ranCode: a routine ran, which may have taken a lock (GET_LOCK) without a trace
	ranCode     bool
	waitTimeout int64  // in seconds, as set in the session; 0 when it was not
	charsets    uint32 // counts changes of character sets and collations, from 1 on
	// multibyte is the shape of character_set_client, whose trailing bytes may look like quotes
	multibyte sqlclass.Multibyte
}

func newLedger(schema string, collation uint16, flavor Flavor) ledger {
	return ledger{schema: schema, option: -1, charsets: 1, collation: collation, flavor: flavor}
}

// clear forgets what COM_RESET_CONNECTION undoes; the schema and the role stay (MariaDB 10.11, MySQL 9.7).
func (l *ledger) clear() {
	*l = ledger{
		schema: l.schema, role: l.role, roleUnknown: l.roleUnknown, option: l.option, reset: true, txnChars: l.txnChars[:0], command: l.command, charsets: l.charsets + 1,
		collation: l.collation, schemaUTF8: l.schemaUTF8, flavor: l.flavor,
		status: l.status &^ (wire.StatusInTrans | wire.StatusInTransReadonly), pins: l.pins & PinAuth,
	}
	if l.flavor == MariaDB { // whose reset brings the character set of the login back
		l.multibyte = multibyteOf(l.collation)
	}
}

// neverReplayed are variables that servers report but whose replay would be wrong or refused: they describe the last
// statement or the connection, not a choice of the session. A SET of the first group pins the session.
var neverReplayed = map[string]bool{
	"timestamp": true, "insert_id": true, "rand_seed1": true, "rand_seed2": true,
	"last_gtid": true, "last_insert_id": true, "identity": true, "pseudo_thread_id": true, "in_transaction": true,
	"proxy_user": true, "external_user": true, "warning_count": true, "error_count": true, "statement_id": true,
	"gtid_seq_no": true,
	// these are the proxy's own
	"session_track_system_variables": true, "session_track_schema": true, "session_track_state_change": true,
	"session_track_transaction_info": true,
	// these follow the default schema
	"character_set_database": true, "collation_database": true,
}

// setVariable notes the value that the server reported. It allocates only when something changed.
func (l *ledger) setVariable(name, value []byte) {
	for i := range l.variables {
		if v := &l.variables[i]; v.name == string(name) {
			if v.raw || v.unread || v.value != string(value) {
				v.value, v.raw, v.unread = string(value), false, false
			}
			v.at = l.command
			l.afterVariable(v.name, v.value)
			return
		}
	}
	if neverReplayed[string(name)] {
		return
	}
	n := string(name)
	l.variables = append(l.variables, variable{name: n, value: string(value), at: l.command})
	l.afterVariable(n, string(value))
}

// reported tells whether the server named the variable in its answer to the command under way.
func (l *ledger) reported(name string) bool {
	for i := range l.variables {
		if v := &l.variables[i]; v.at == l.command && !v.raw && !v.unread && strings.EqualFold(v.name, name) {
			return true
		}
	}
	return false
}

// setSource notes an assignment by its SQL source, for variables that the server does not report.
func (l *ledger) setSource(name, source string) {
	l.charsets++
	l.settingsCount++
	l.put(variable{name: strings.ToLower(name), value: source, raw: true})
	value := strings.ToLower(strings.Trim(source, "'\"`"))
	if id, err := strconv.ParseUint(value, 10, 16); err == nil {
		value = charsetOf(uint16(id))
	}
	l.afterVariable(strings.ToLower(name), value)
}

// setUnread notes an assignment whose outcome is to be read from the server.
func (l *ledger) setUnread(name string) {
	l.put(variable{name: name, unread: true})
}

func (l *ledger) put(v variable) {
	for i := range l.variables {
		if l.variables[i].name == v.name {
			l.variables[i] = v
			return
		}
	}
	l.variables = append(l.variables, v)
}

// unread counts the variables whose values only the server knows.
func (l *ledger) unread() (n int) {
	for i := range l.variables {
		if l.variables[i].unread {
			n++
		}
	}
	return n
}

// silentTexts reports whether there are statements of PREPARE whose execution may set variables without a report.
func (l *ledger) silentTexts() bool {
	return slices.ContainsFunc(l.texts, func(t preparedText) bool { return t.silent })
}

// dropTransaction notes that a transaction is gone with its server connection. The characteristics went with it: once
// it runs they name it ("START TRANSACTION READ ONLY;"), and replaying them would begin another one behind the
// client's back.
func (l *ledger) dropTransaction() {
	if l.status&(wire.StatusInTrans|wire.StatusInTransReadonly) != 0 || l.unsure {
		l.txnChars = l.txnChars[:0]
	}
	l.status &^= wire.StatusInTrans | wire.StatusInTransReadonly
	l.lock, l.unsure = false, false
}

// multibyteOf is the shape of a collation's character set: big5, sjis, gbk, cp932 and gb18030 are of one that matters.
func multibyteOf(collation uint16) sqlclass.Multibyte {
	switch charsetOf(collation) {
	case "big5", "gbk", "gb18030":
		return sqlclass.DoubleByte
	case "sjis", "cp932":
		return sqlclass.ShiftJIS
	default:
		return sqlclass.ASCIISafe
	}
}

// afterVariable: a new connection character set resets the collation to its default.
func (l *ledger) afterVariable(name, value string) {
	if strings.HasPrefix(name, "character_set_") || name == "collation_connection" {
		l.charsets++
		l.settingsCount++
	}
	switch name {
	case "sql_mode":
		l.settingsCount++
	case "wait_timeout":
		l.waitTimeout = seconds(value)
	case "character_set_collations", "old_mode": // of MariaDB: what SET NAMES does depends on them, and on what came first
		l.pins |= PinUnknown
	}
	if name == "time_zone" {
		l.timeZoneChanged()
	}
	if name == "character_set_client" && value != "default" {
		l.multibyte = sqlclass.MultibyteOf(value)
	}
	if name != "character_set_connection" {
		return
	}
	for i := range l.variables {
		if l.variables[i].name == "collation_connection" {
			l.variables = append(l.variables[:i], l.variables[i+1:]...)
			return
		}
	}
}

// serverCharset reports whether the session has set character_set_server, which counts where there is no default schema.
func (l *ledger) serverCharset() bool {
	return slices.ContainsFunc(l.variables, func(v variable) bool { return v.name == "character_set_server" || v.name == "collation_server" })
}

// maxWaitTimeout is the largest wait_timeout of the servers, in seconds.
const maxWaitTimeout = 365 * 24 * 3600

// seconds reads a wait_timeout; 0 for what is none.
func seconds(value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return min(n, maxWaitTimeout)
}

// pointInTime is MariaDB's variable of a moment, which it names and reads in the session's time zone.
const pointInTime = "system_versioning_asof"

// timeZoneChanged notes that the moment has another name now.
func (l *ledger) timeZoneChanged() {
	for i := range l.variables {
		if v := &l.variables[i]; v.name == pointInTime {
			v.unread = true
		}
	}
}

// characterSet begins the SQL of a SET CHARACTER SET, whose collation is that of the default schema.
const characterSet = "CHARACTER SET "

// namesElsewhere reports whether a SET CHARACTER SET would do something else now than when it was executed, in namesSchema.
func (l *ledger) namesElsewhere() bool { return l.namesSchema != "" && l.namesSchema != l.schema }

// preparesElsewhere pins a session that prepares a statement after a SET CHARACTER SET: whose collation that gives depends on the
// default schema, which is another one on the way to the statement's context and back.
func (l *ledger) preparesElsewhere() {
	if strings.HasPrefix(l.names, characterSet) {
		l.pins |= PinUnknown
	}
}

// setNames notes a SET NAMES, which is replayed as it is: MariaDB does not report the collation, and what one without COLLATE sets
// is, from 11.2 on, the default of character_set_collations and not that of character_set_connection. names is "" where the reported
// variables tell all. What the server reported of the others than those assigned beside it came from it.
func (l *ledger) setNames(names string, beside []string) {
	l.names, l.namesSchema = names, ""
	l.charsets++
	l.settingsCount++
	if names == "" {
		return
	}
	if l.namesSchema = l.schema; !strings.HasPrefix(names, characterSet) {
		l.namesSchema = ""
	} else if l.schema == "" { // the collation is that of the server then
		l.names += ",SESSION collation_connection=@@GLOBAL.collation_server"
		for _, own := range []string{"character_set_server", "collation_server"} {
			if _, ok := l.variable(own); ok {
				l.pins |= PinUnknown
			}
		}
	}
	l.variables = slices.DeleteFunc(l.variables, func(v variable) bool {
		return charsetVariables[v.name] && !slices.Contains(beside, v.name)
	})
}

// running reports whether there are statements of PREPARE that run code which is not in their texts.
func (l *ledger) running() bool {
	return slices.ContainsFunc(l.texts, func(t preparedText) bool { return t.runs })
}

// setText notes a PREPARE. Texts of more than maxTexts together are not kept.
func (l *ledger) setText(t preparedText) {
	l.dropText(t.name)
	size := len(t.sql)
	for i := range l.texts {
		size += len(l.texts[i].sql)
	}
	if size > maxTexts {
		l.pins |= PinUninspected
		return
	}
	l.texts = append(l.texts, t)
}

func (l *ledger) dropText(name string) {
	for i := range l.texts {
		if strings.EqualFold(l.texts[i].name, name) {
			l.texts = append(l.texts[:i], l.texts[i+1:]...)
			return
		}
	}
}
