package session

import (
	"strconv"
	"strings"

	"github.com/onewriter/onewriter/internal/wire"
)

// setUpTracking is what the first statement on a server connection is for.
const setUpTracking = "set up session tracking"

// restoreLogin is what loginSQL is for.
const restoreLogin = "restore the character sets of the login"

// Attach begins the life of the session on a server connection that has just been logged in with the session's
// schema and character set. It gives the bytes that set up session tracking and restore what the session had changed,
// all in one write; the answers are a prelude.
func (c *Core) Attach() []byte {
	c.generation++
	c.attached, c.loggedInAs = true, c.LoginCollation()
	c.ledger.dropTransaction()
	c.prelude.begin(c.features)
	b := c.scratch[:0]
	if c.ledger.reset {
		b = append(b, 1, 0, 0, 0, wire.ComResetConnection)
		c.prelude.expect(expectation{command: wire.ComResetConnection, what: "reset the connection"})
		if c.ledger.used && c.ledger.schema != "" { // it also sets character_set_database, which the reset has undone
			b = c.appendSchema(b, c.ledger.schema)
		}
	}
	if c.tracking {
		b = c.appendQuery(b, c.trackingSQL(), setUpTracking)
	}
	if sql := c.loginSQL(); sql != "" {
		b = c.appendQuery(b, sql, restoreLogin)
	}
	if sql := c.variablesSQL(); sql != "" && c.ledger.namesElsewhere() {
		b = c.appendSchema(b, c.ledger.namesSchema)
		b = c.appendQuery(b, sql, "restore session variables")
		b = c.appendSchema(b, c.ledger.schema)
	} else if sql != "" {
		b = c.appendQuery(b, sql, "restore session variables")
	}
	if moment, ok := c.ledger.variable(pointInTime); ok { // in the same list it would be read in the old time zone
		b = c.appendQuery(b, "SET SESSION "+pointInTime+"="+moment, "restore the point in time of queries")
	}
	if c.ledger.role != "" {
		b = c.appendQuery(b, c.ledger.role, "restore the role")
	}
	// MySQL takes the types of user variables when it prepares a statement; MariaDB's PREPARE of SET @v=? takes that of a NULL away.
	if c.config.Flavor == MySQL {
		b = c.appendTexts(c.appendUserVariables(b))
	} else {
		b = c.appendUserVariables(c.appendTexts(b))
	}
	if id := c.ledger.insertID; id != 0 {
		b = c.appendQuery(b, "SET last_insert_id="+strconv.FormatUint(id, 10), "restore LAST_INSERT_ID()")
	}
	if c.ledger.option >= 0 {
		b = append(b, 3, 0, 0, 0, wire.ComSetOption, byte(c.ledger.option), 0)
		c.prelude.expect(expectation{command: wire.ComSetOption, what: "restore the multi-statement option"})
	}
	for _, sql := range strings.Split(string(c.ledger.txnChars), ";") {
		if sql = strings.TrimSpace(sql); strings.HasPrefix(sql, "SET ") {
			b = c.appendQuery(b, sql, "restore transaction characteristics")
		}
	}
	c.scratch = nil // up to 2 KB that an idle session need not keep
	return b
}

func (c *Core) appendUserVariables(b []byte) []byte {
	if sql := c.ledger.users.sql(); sql != "" {
		b = c.appendQuery(b, sql, "restore user variables")
	}
	return b
}

// Detach says that the session has no server connection any more. A transaction or lock is gone with it.
func (c *Core) Detach() {
	c.attached = false
	c.unreported()
	c.ledger.dropTransaction()
}

// Attached reports whether the session has a server connection.
func (c *Core) Attached() bool { return c.attached }

// appendQuery appends a COM_QUERY of the proxy's own, with no query attributes if the hop has them.
func (c *Core) appendQuery(b []byte, sql, what string) []byte {
	c.prelude.expect(expectation{command: wire.ComQuery, what: what})
	n := 1 + len(sql)
	if c.config.Server.Has(wire.ClientQueryAttributes) {
		n += 2
	}
	b = append(b, byte(n), byte(n>>8), byte(n>>16), 0, wire.ComQuery)
	if c.config.Server.Has(wire.ClientQueryAttributes) {
		b = append(b, 0, 1) // no parameters, one set
	}
	return append(b, sql...)
}

// appendSchema appends a COM_INIT_DB.
func (c *Core) appendSchema(b []byte, schema string) []byte {
	c.prelude.expect(expectation{command: wire.ComInitDB, what: "use the schema"})
	return wire.AppendPacket(b, 0, append([]byte{wire.ComInitDB}, schema...))
}

// trackingSQL asks the server to report what the ledger needs. MariaDB reports every variable for '*'. MySQL would
// then put statement_id into each answer (seen on 9.7.4), so it gets a list; names it does not know only warn.
func (c *Core) trackingSQL() string {
	if c.config.Flavor == MariaDB {
		return "SET session_track_system_variables='*',session_track_schema=1,session_track_state_change=1," +
			"session_track_transaction_info='CHARACTERISTICS'"
	}
	return mysqlTracking
}

// variablesSQL restores the session's variables in one list: a refused list applies nothing (seen on both flavours).
// sql_mode stands first, the collation after the character sets, which reset it, autocommit last. Servers read the whole list
// before they set anything, so that raw values are read under the mode of the login.
func (c *Core) variablesSQL() string {
	if len(c.ledger.variables) == 0 && c.ledger.names == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("SET ")
	sep := ""
	for pass := range 4 {
		if pass == 1 && c.ledger.names != "" {
			b.WriteString(sep)
			b.WriteString(c.ledger.names)
			sep = ","
		}
		for _, v := range c.ledger.variables {
			if variablePass(v.name) != pass || v.name == pointInTime || v.unread {
				continue
			}
			b.WriteString(sep)
			b.WriteString("SESSION ")
			b.WriteString(v.name)
			b.WriteByte('=')
			writeValue(&b, v)
			sep = ","
		}
	}
	if sep == "" {
		return ""
	}
	return b.String()
}

func variablePass(name string) int {
	switch name {
	case "sql_mode":
		return 0
	case "collation_connection":
		return 2
	case "autocommit":
		return 3
	default:
		return 1
	}
}

// writeValue writes a value as SQL that means the same under every sql_mode and character set: numbers bare, plain
// ASCII quoted, everything else as a hexadecimal literal.
func writeValue(b *strings.Builder, v variable) {
	switch {
	case v.raw:
		b.WriteString(v.value)
	case v.value == "" && strings.HasPrefix(v.name, "character_set_"):
		b.WriteString("NULL")
	case v.name == pointInTime && v.value == "DEFAULT": // a word that MariaDB takes for the time it names otherwise
		b.WriteString(v.value)
	case isNumber(v.value):
		b.WriteString(v.value)
	case isPlain(v.value):
		b.WriteByte('\'')
		b.WriteString(v.value)
		b.WriteByte('\'')
	default:
		b.WriteString("CONVERT(0x")
		for i := range len(v.value) {
			b.WriteString(hexByte(v.value[i]))
		}
		b.WriteString(" USING utf8mb4)")
	}
}

func hexByte(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func isNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// isPlain reports whether s can stand between single quotes as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '\'' || s[i] == '\\' {
			return false
		}
	}
	return true
}
