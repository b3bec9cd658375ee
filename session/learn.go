package session

import (
	"strings"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// learnOK takes status and session state out of an OK packet.
func (c *Core) learnOK(o *wire.OK) {
	c.setStatus(o.Status)
	if o.LastInsertID != 0 {
		c.ledger.insertID = o.LastInsertID
	}
	if o.Track == nil {
		return
	}
	r := wire.NewTrackReader(o.Track)
	var collation []byte
	for {
		e, ok := r.Next()
		if !ok {
			break
		}
		switch e.Kind {
		case wire.TrackVariable:
			if string(e.Name) == "collation_connection" {
				collation = e.Value
			} else {
				c.learnVariable(e)
			}
		case wire.TrackSchema:
			c.saw.schema = true
			if c.ledger.schema != string(e.Value) {
				c.ledger.schema = string(e.Value)
			}
		case wire.TrackState:
			c.saw.state = true
		case wire.TrackGTID:
			c.ledger.lastGTID = append(c.ledger.lastGTID[:0], e.Value...)
		case wire.TrackTxnChars:
			c.ledger.txnChars = append(c.ledger.txnChars[:0], e.Value...)
		case wire.TrackTxnState:
			c.ledger.lock = len(e.Value) == 8 && e.Value[7] == 'L'
		}
	}
	if collation != nil { // after the character sets, which reset it
		c.saw.variable = true
		c.ledger.setVariable([]byte("collation_connection"), collation)
	}
	if r.Err() != nil {
		c.ledger.pins |= PinUnknown
	}
}

func (c *Core) learnVariable(e wire.TrackEntry) {
	if string(e.Name) == "last_gtid" { // MariaDB: with each commit
		c.ledger.lastGTID = append(c.ledger.lastGTID[:0], e.Value...)
		return
	}
	c.saw.variable = true
	if c.effects.Has(sqlclass.SetStatement) {
		return // holds for that statement only
	}
	c.ledger.setVariable(e.Name, e.Value)
}

// noteEffects are those whose statement text is needed when the command has succeeded.
const noteEffects = sqlclass.SetVariable | sqlclass.SetNames | sqlclass.SetRole | sqlclass.TextPrepare | sqlclass.TextDeallocate

// note keeps the text of a statement that finish will need; the packet is gone by then.
func (c *Core) note(pkt []byte) {
	if !c.effects.Has(noteEffects) {
		return
	}
	text, _ := c.text(pkt)
	c.scratch = append(c.scratch[:0], text...)
}

// finish draws the conclusions from a command whose response is complete.
func (c *Core) finish() {
	switch c.cmd.Code {
	case wire.ComResetConnection:
		if !c.saw.failed {
			c.ledger.clear()
			c.stmts.clear()
			c.asked = trackers{}
		}
		return
	case wire.ComInitDB:
		if !c.saw.failed && !c.tracking {
			c.ledger.schema = string(c.scratch)
		}
		return
	case wire.ComQuery, wire.ComStmtExecute, wire.ComStmtBulkExecute:
	default:
		return
	}
	c.learnTrackers()
	e := c.effects
	if e == 0 && !c.saw.state && !c.saw.eofState && c.cmd.Statement.Txn != sqlclass.TxnBegin {
		return
	}
	if c.saw.failed && !e.Has(sqlclass.Multi) && !c.saw.state {
		c.applyPins(e & lasting)
		return
	}
	c.applyPins(e)
	c.applyReleases(e)
	if c.cmd.Code == wire.ComQuery {
		c.applyText(e)
	} else if e.Has(sqlclass.SetRole|sqlclass.TextPrepare) || e.Has(sqlclass.SetVariable|sqlclass.SetNames) && !c.saw.variable {
		c.ledger.pins |= PinUnknown
	}
	c.explain(e)
}

var effectPins = []struct {
	effect sqlclass.Effect
	pin    Pin
}{
	{sqlclass.TempTable, PinTempTable},
	{sqlclass.UserVariable, PinUserVariable},
	{sqlclass.NamedLock, PinNamedLock},
	{sqlclass.HandlerOpen, PinHandler},
	{sqlclass.GlobalReadLock, PinGlobalLock},
	{sqlclass.TableLock, PinTableLock},
	{sqlclass.XABegin | sqlclass.XAPrepare, PinXA},
	{sqlclass.PinnedVariable, PinClock},
	{sqlclass.LastInsertIDSet, PinInsertID},
	{sqlclass.Untracked | sqlclass.Unclear, PinUnknown},
}

// lasting are the effects that a statement can have had though it failed in the end: they come with the evaluation of
// an expression, and no rollback undoes them.
const lasting = sqlclass.UserVariable | sqlclass.NamedLock

func (c *Core) applyPins(e sqlclass.Effect) {
	for _, ep := range effectPins {
		if e.Has(ep.effect) {
			c.ledger.pins |= ep.pin
		}
	}
}

func (c *Core) applyReleases(e sqlclass.Effect) {
	if e.Has(sqlclass.Multi) || c.saw.failed {
		return // in which order is not known
	}
	if e.Has(sqlclass.NamedLockReleaseAll) {
		c.ledger.pins &^= PinNamedLock
	}
	if e.Has(sqlclass.TableUnlock) {
		c.ledger.pins &^= PinTableLock // the global lock may be one of the instance, which this does not release
	}
	if e.Has(sqlclass.XAFinish) {
		c.ledger.pins &^= PinXA
	}
	if c.cmd.Statement.Txn == sqlclass.TxnBegin {
		c.ledger.pins &^= PinTableLock // START TRANSACTION releases table locks
	}
}

// applyText keeps what can only be restored by the statement's own text.
func (c *Core) applyText(e sqlclass.Effect) {
	if !e.Has(noteEffects) {
		return
	}
	if c.saw.failed { // some of several statements: which is not known
		c.ledger.pins |= PinUnknown
		return
	}
	text := c.scratch
	if e.Has(sqlclass.SetVariable | sqlclass.SetNames) {
		c.applySets(text)
	}
	if e.Has(sqlclass.Multi) {
		if e.Has(sqlclass.SetRole | sqlclass.TextPrepare | sqlclass.TextDeallocate) {
			c.ledger.pins |= PinUnknown
		}
		return
	}
	if e.Has(sqlclass.SetRole) {
		c.ledger.role = strings.TrimRight(string(text), "; \t\r\n")
	}
	if e.Has(sqlclass.TextPrepare) {
		if name, _, ok := sqlclass.PreparedText(text, c.lexing()); ok {
			c.ledger.setText(name, strings.TrimRight(string(text), "; \t\r\n"))
		} else {
			c.ledger.pins |= PinUnknown // prepared from a variable
		}
	}
	if e.Has(sqlclass.TextDeallocate) {
		if name, ok := sqlclass.DeallocatedName(text, c.lexing()); ok {
			c.ledger.dropText(name)
		}
	}
}

// applySets takes over the assignments that the server did not report: it named none, or leaves this one out.
func (c *Core) applySets(text []byte) {
	sets, ok := sqlclass.SessionSets(text, c.lexing())
	if !ok {
		if !c.saw.variable {
			c.ledger.pins |= PinUnknown
		}
		return
	}
	for _, s := range sets {
		switch s.Scope {
		case sqlclass.ScopeNames:
			if collation := collateOf(s.Value); collation != "" {
				c.ledger.setSource("collation_connection", collation)
			}
		case sqlclass.ScopeSession:
			c.applySet(s)
		case sqlclass.ScopeGlobal, sqlclass.ScopeUser, sqlclass.ScopeCharset, sqlclass.ScopeRole, sqlclass.ScopeStatement:
		}
	}
}

func (c *Core) applySet(s sqlclass.Assignment) {
	switch {
	case s.Name == "collation_connection":
		c.ledger.setSource(s.Name, s.Value)
	case c.ledger.reported(s.Name) || neverReplayed[s.Name]:
	case s.Literal:
		c.ledger.setSource(s.Name, s.Value)
	default:
		c.ledger.pins |= PinUnknown
	}
}

// collateOf is the collation in the value of SET NAMES, "" if it names none.
func collateOf(names string) string {
	fields := strings.Fields(names)
	if len(fields) == 3 && strings.EqualFold(fields[1], "COLLATE") {
		return fields[2]
	}
	return ""
}

// explained are the effects that account for a report that some session state changed.
const explained = sqlclass.UserVariable | sqlclass.SetVariable | sqlclass.SetNames | sqlclass.SetTransaction |
	sqlclass.SetRole | sqlclass.TempTable | sqlclass.TempTableDrop | sqlclass.TextPrepare | sqlclass.TextDeallocate |
	sqlclass.SetStatement | sqlclass.SetPassword

// explain pins the session when the server says that something changed and nothing says what.
func (c *Core) explain(e sqlclass.Effect) {
	// An EOF packet has the flag but no room for the state. The transaction's own state sets it too, so that it tells
	// something only where code ran that is not in the text.
	if c.saw.eofState && e.Has(sqlclass.Opaque|sqlclass.UnknownFunction|sqlclass.Unclear) {
		c.ledger.pins |= PinRoutine
	}
	if !c.saw.state {
		return
	}
	switch {
	case e.Has(sqlclass.Unclear):
		c.ledger.pins |= PinUnknown
	case e.Has(sqlclass.Opaque | sqlclass.UnknownFunction):
		c.ledger.pins |= PinRoutine
	case c.saw.variable || c.saw.schema || e.Has(explained):
	default:
		c.ledger.pins |= PinUnknown
	}
}
