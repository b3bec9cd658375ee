package session

import (
	"strconv"
	"strings"

	"github.com/onewriter/onewriter/internal/wire"
)

// context is what decides how the text of a statement is understood when it is prepared. Servers keep it with the
// statement, so a statement is prepared again in the context of its first time, whatever the session has set since.
type context struct {
	schema string
	// settings is SQL that sets sql_mode and the character sets, "" while the session has set none of them.
	settings string
	// names says that settings hold SET NAMES, which sets character_set_results too.
	names bool
}

// context gives the one of now. It allocates only when a setting changed since the last call.
func (l *ledger) context() context {
	if l.settingsAt != l.settingsCount {
		l.settings, l.settingsAt = l.settingsSQL(), l.settingsCount
	}
	return context{l.schema, l.settings, l.names != "" || l.settings != "" && l.loginNames() != ""}
}

func (l *ledger) variable(name string) (string, bool) {
	for _, v := range l.variables {
		if v.name == name {
			var b strings.Builder
			writeValue(&b, v)
			return b.String(), true
		}
	}
	return "", false
}

// settingsSQL is "" when nothing that matters was set.
func (l *ledger) settingsSQL() string {
	mode, hasMode := l.variable("sql_mode")
	client, hasClient := l.variable("character_set_client")
	charset, hasCharset := l.variable("character_set_connection")
	collation, hasCollation := l.variable("collation_connection")
	if !hasMode && !hasClient && !hasCharset && !hasCollation && l.names == "" {
		return ""
	}
	if l.names != "" {
		return l.namedSettings(mode, l.names)
	}
	if names := l.loginNames(); names != "" {
		return l.namedSettings(mode, names)
	}
	loginCharset, loginCollation := l.loginCharset()
	if !hasMode {
		mode = "DEFAULT"
	}
	if !hasClient {
		client = loginCharset
	}
	sql := "SET SESSION sql_mode=" + mode + ",SESSION character_set_client=" + client
	switch {
	case hasCollation:
	case hasCharset:
		return sql + ",SESSION character_set_connection=" + charset
	default:
		collation = loginCollation
	}
	return sql + ",SESSION collation_connection=" + collation
}

// namedSettings are the settings since a SET NAMES.
func (l *ledger) namedSettings(mode, names string) string {
	if mode == "" {
		mode = "DEFAULT"
	}
	sql := "SET SESSION sql_mode=" + mode + "," + names
	for _, name := range []string{"character_set_client", "character_set_connection", "collation_connection", "character_set_results"} {
		if value, ok := l.variable(name); ok {
			sql += ",SESSION " + name + "=" + value
		}
	}
	return sql
}

// isWord reports whether s is the name of a character set, maybe in quotes.
func isWord(s string) bool {
	if n := len(s); n > 2 && (s[0] == '\'' || s[0] == '"') && s[n-1] == s[0] {
		s = s[1 : n-1]
	}
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// splitNames takes "utf8mb4 COLLATE utf8mb4_bin" apart.
func splitNames(names string) (charset, collation string) {
	fields := strings.Fields(names)
	if len(fields) != 3 || !strings.EqualFold(fields[1], "COLLATE") {
		return "", ""
	}
	return fields[0], fields[2]
}

// loginNames is the SET NAMES that does what the login did; "" where none is known to. MariaDB takes the default collation of a
// Unicode character set in a login for that of character_set_collations (seen on 11.8), whose name nobody reports.
func (l *ledger) loginNames() string {
	switch {
	case l.flavor == MariaDB && l.collation == utf8mb4General:
		return "NAMES utf8mb4"
	case l.flavor == MariaDB && l.collation == utf8mb3General:
		return "NAMES utf8"
	default:
		return ""
	}
}

// loginCharset is SQL for the character set and the collation that the session had at the beginning.
func (l *ledger) loginCharset() (charset, collation string) {
	name := charsetOf(l.collation)
	if l.reset && l.flavor == MySQL || name == "" { // MariaDB's reset brings the login's back
		return "DEFAULT", "DEFAULT"
	}
	return name, strconv.Itoa(int(l.collation)) // servers take a collation's id for its name
}

// appendContext appends what brings a session from one context into another. A schema can't be left for none: a
// statement that was prepared without one names its schemas itself.
func (c *Core) appendContext(b []byte, from, to context) []byte {
	if to.settings != from.settings {
		sql := to.settings
		if names := c.ledger.loginNames(); sql == "" && names != "" {
			sql = "SET SESSION sql_mode=DEFAULT," + names
			if results, ok := c.ledger.variable("character_set_results"); ok {
				sql += ",SESSION character_set_results=" + results
			}
			from.names = false
		} else if sql == "" {
			charset, collation := c.ledger.loginCharset()
			sql = "SET SESSION sql_mode=DEFAULT,SESSION character_set_client=" + charset + ",SESSION collation_connection=" + collation
		}
		if from.names && !to.names {
			results, ok := c.ledger.variable("character_set_results")
			if !ok {
				results, _ = c.ledger.loginCharset()
			}
			sql += ",SESSION character_set_results=" + results
		}
		b = c.appendQuery(b, sql, "set the context of a prepared statement")
	}
	if to.schema != from.schema && to.schema != "" {
		c.prelude.expect(expectation{command: wire.ComInitDB, what: "use the schema of a prepared statement"})
		b = wire.AppendPacket(b, 0, append([]byte{wire.ComInitDB}, to.schema...))
	}
	return b
}

// prepareAgain gives the bytes that prepare st on the present server connection.
func (c *Core) prepareAgain(st *statement) []byte {
	now := c.ledger.context()
	c.prelude.begin(c.features)
	again := expectation{command: wire.ComStmtPrepare, statement: st, what: "prepare a statement again"}
	if now.settings == st.context.settings && (now.schema == st.context.schema || st.context.schema == "") {
		c.prelude.expect(again)
		return st.text
	}
	b := c.appendContext(c.scratch[:0], now, st.context)
	c.prelude.expect(again)
	b = append(b, st.text...)
	then := st.context
	if then.schema == "" {
		then.schema = now.schema
	}
	c.scratch = c.appendContext(b, then, now)
	return c.scratch
}

// appendTexts appends the statements of SQL's PREPARE, each in its context.
func (c *Core) appendTexts(b []byte) []byte {
	now := c.ledger.context()
	at := now
	for _, t := range c.ledger.texts {
		want := t.context
		if want.schema == "" {
			want.schema = at.schema
		}
		b = c.appendContext(b, at, want)
		b = c.appendQuery(b, t.sql, "prepare "+t.name+" again")
		at = want
	}
	return c.appendContext(b, at, now)
}
