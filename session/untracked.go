package session

import (
	"bytes"
	"strings"

	"github.com/onewriter/onewriter/internal/sqlclass"
)

// Servers before MySQL 5.7 and MariaDB 10.2 report nothing of a session but the status bits. What they would have said is taken from
// the text; a session whose text does not tell is pinned. What a trigger does to the session of the statement that fires it is
// seen by nobody.

// notesUntracked reports whether learnUntracked needs the text of the command under way.
func (c *Core) notesUntracked() bool {
	return !c.tracking && (c.effects.Has(sqlclass.Multi|sqlclass.SetTransaction) || c.cmd.Statement.Verb == sqlclass.Use)
}

// learnUntracked draws the conclusions from the text of a command that a server without trackers has finished.
func (c *Core) learnUntracked() {
	e := c.effects
	if e.Has(sqlclass.Opaque | sqlclass.UnknownFunction) {
		c.ledger.pins |= PinRoutine
	}
	if e.Has(sqlclass.Unclear) {
		c.ledger.pins |= PinUnknown
	}
	text := c.statementText()
	switch {
	case e.Has(sqlclass.Multi):
		if e.Has(sqlclass.SetTransaction) || bytes.Contains(bytes.ToLower(text), []byte("use")) {
			c.ledger.pins |= PinUnknown
		}
	case c.saw.failed:
	case c.cmd.Statement.Verb == sqlclass.Use:
		schema, ok := sqlclass.UsedSchema(text, c.textLexing())
		if !ok || sqlclass.Conditional(text, c.textLexing()) {
			c.ledger.pins |= PinUnknown
			return
		}
		c.ledger.schema, c.ledger.used, c.saw.schema = schema, true, true
	case e.Has(sqlclass.SetTransaction):
		name, value, ok := sessionTransaction(string(text))
		if !ok {
			c.ledger.pins |= PinUnknown
			return
		}
		c.ledger.setSource(name, value)
		c.saw.variable = true
	}
}

// sessionTransaction takes SET SESSION TRANSACTION with one characteristic, in the words that drivers use, as the assignment of a
// variable. Without SESSION it is about the next transaction only.
func sessionTransaction(text string) (name, value string, ok bool) {
	words := strings.Fields(strings.ToUpper(strings.TrimRight(text, "; \t\r\n")))
	if len(words) < 5 || words[0] != "SET" || words[1] != "SESSION" || words[2] != "TRANSACTION" {
		return "", "", false
	}
	switch rest := strings.Join(words[3:], " "); rest {
	case "READ ONLY":
		return "tx_read_only", "1", true
	case "READ WRITE":
		return "tx_read_only", "0", true
	case "ISOLATION LEVEL READ UNCOMMITTED", "ISOLATION LEVEL READ COMMITTED", "ISOLATION LEVEL REPEATABLE READ", "ISOLATION LEVEL SERIALIZABLE":
		return "tx_isolation", "'" + strings.ReplaceAll(strings.TrimPrefix(rest, "ISOLATION LEVEL "), " ", "-") + "'", true
	default:
		return "", "", false
	}
}
