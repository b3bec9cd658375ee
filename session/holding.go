package session

import (
	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// holding is one thing that pins the session: a temporary table, a named lock, an open handler.
type holding struct {
	pin   Pin
	name  string
	count int // named locks: how often it may be held
}

// maxHoldings is how many are told apart.
const maxHoldings = 64

// hold notes that the session has got something under name.
func (l *ledger) hold(p Pin, name string) {
	l.pins |= p
	for i := range l.holdings {
		if h := &l.holdings[i]; h.pin == p && h.name == name {
			if p == PinNamedLock { // a lock can be taken several times
				h.count++
			}
			return
		}
	}
	if len(l.holdings) == maxHoldings {
		l.holdVague(p)
		return
	}
	l.holdings = append(l.holdings, holding{p, name, 1})
}

// holdVague notes that the session has got something that no statement is known to let go of.
func (l *ledger) holdVague(p Pin) {
	l.pins |= p
	l.vague |= p
}

// release notes that name was let go of; the pin goes with the last one. How often a lock is held is an upper bound: a
// release that found nothing to release does no harm.
func (l *ledger) release(p Pin, name string) {
	left := l.vague&p != 0
	for i := 0; i < len(l.holdings); i++ {
		h := &l.holdings[i]
		if h.pin != p {
			continue
		}
		if h.name == name {
			if h.count--; h.count == 0 {
				l.holdings = append(l.holdings[:i], l.holdings[i+1:]...)
				i--
				continue
			}
		}
		left = true
	}
	if !left {
		l.pins &^= p
	}
}

// releaseAll notes that everything of a kind was let go of.
func (l *ledger) releaseAll(p Pin) {
	l.pins &^= p
	l.vague &^= p
	kept := l.holdings[:0]
	for _, h := range l.holdings {
		if h.pin != p {
			kept = append(kept, h)
		}
	}
	l.holdings = kept
}

// holdingEffects are those whose statement text tells what is taken or released.
const holdingEffects = sqlclass.TempTable | sqlclass.TempTableDrop | sqlclass.NamedLock | sqlclass.NamedLockRelease |
	sqlclass.HandlerOpen | sqlclass.HandlerClose

// learnHoldings notes what the command under way took and released.
func (c *Core) learnHoldings(e sqlclass.Effect, failed bool) {
	l := &c.ledger
	switch {
	case e.Has(holdingEffects):
	case l.pins&PinTempTable != 0 && c.cmd.Statement.Verb == sqlclass.DDL:
		l.vague |= PinTempTable // ALTER TABLE may have given one another name
		return
	default:
		return
	}
	text := c.statementText()
	vague := text == nil || e.Has(sqlclass.Multi|sqlclass.Opaque|sqlclass.Unclear|sqlclass.TextPrepare)
	opt := c.textLexing()
	if e.Has(sqlclass.NamedLock | sqlclass.NamedLockRelease) {
		name, ok := sqlclass.LockName(text, opt)
		l.change(PinNamedLock, e.Has(sqlclass.NamedLock), ok && !vague && !failed, name)
	}
	if failed && !vague {
		return // unlike a lock, these come at the end of a statement
	}
	if e.Has(sqlclass.TempTable | sqlclass.TempTableDrop) {
		names, ok := sqlclass.TemporaryTables(text, opt)
		l.change(PinTempTable, e.Has(sqlclass.TempTable), ok && !vague, l.qualified(names)...)
	}
	if e.Has(sqlclass.HandlerOpen | sqlclass.HandlerClose) {
		name, ok := sqlclass.HandlerName(text, opt)
		l.change(PinHandler, e.Has(sqlclass.HandlerOpen), ok && !vague, name)
	}
}

// change notes a statement that takes things of a kind, or lets go of them. Only if certain it does so to those called names,
// and to nothing else.
func (l *ledger) change(p Pin, takes, certain bool, names ...string) {
	if !certain {
		if takes {
			l.holdVague(p)
		}
		return
	}
	for _, n := range names {
		if takes {
			l.hold(p, n)
		} else {
			l.release(p, n)
		}
	}
}

// qualified writes the names of tables with their schemas.
func (l *ledger) qualified(tables []sqlclass.Name) []string {
	names := make([]string, len(tables))
	for i, t := range tables {
		if t.Schema == "" {
			t.Schema = l.schema
		}
		names[i] = t.Schema + "." + t.Table
	}
	return names
}

// textLexing is how statementText is to be read.
func (c *Core) textLexing() sqlclass.Options {
	if c.cmd.Code == wire.ComQuery || c.stmt == nil {
		return c.lexed
	}
	return c.stmt.lexing
}

// statementText is the text of the command that has just finished, nil if it is not at hand.
func (c *Core) statementText() []byte {
	if c.cmd.Code == wire.ComQuery {
		return c.scratch
	}
	if c.stmt == nil || len(c.stmt.text) == 0 {
		return nil
	}
	text, ok := c.text(c.stmt.text)
	if !ok || len(c.stmt.text) > MaxInspect { // in several pieces, maybe
		return nil
	}
	return text
}
