package session

import (
	"bytes"
	"strings"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// learnOK takes status and session state out of an OK packet.
func (c *Core) learnOK(o *wire.OK) {
	c.setStatus(o.Status)
	if o.LastInsertID != 0 {
		c.ledger.insertID, c.ledger.insertIDStale = o.LastInsertID, true // it may be one that the statement named
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
			c.saw.schema, c.ledger.used, c.ledger.schemaUTF8 = true, true, true
			if c.ledger.schema != string(e.Value) {
				c.ledger.schema = string(e.Value)
			}
		case wire.TrackState:
			c.saw.state = true
		case wire.TrackGTID:
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
		return
	}
	c.saw.variable = true
	if c.effects.Has(sqlclass.SetStatement) {
		return // holds for that statement only
	}
	c.ledger.setVariable(e.Name, e.Value)
}

// noteEffects are those whose statement text is needed when the command has succeeded.
const noteEffects = sqlclass.SetVariable | sqlclass.SetNames | sqlclass.SetRole | sqlclass.TextPrepare | sqlclass.TextDeallocate |
	sqlclass.UserVariable | holdingEffects

// note keeps the text of a statement that finish will need; the packet is gone by then.
func (c *Core) note(pkt []byte) {
	if !c.effects.Has(noteEffects) && !c.notesUntracked() {
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
	if !c.tracking {
		c.learnUntracked()
	}
	e := c.effects
	c.ledger.insertIDStale = c.ledger.insertIDStale || setsInsertID(c.cmd.Statement, e)
	if e == 0 && !c.saw.state && !c.saw.eofState && c.ledger.pins&PinTempTable == 0 && c.cmd.Statement.Txn != sqlclass.TxnBegin {
		return
	}
	c.learnUserVariables()
	c.ledger.insertIDSet = c.ledger.insertIDSet || e.Has(sqlclass.LastInsertIDSet)
	if c.saw.failed && !e.Has(sqlclass.Multi) && !c.saw.state {
		c.learnHoldings(e, true)
		c.failedPrepare(e)
		return
	}
	c.applyPins(e)
	c.learnHoldings(e, c.saw.failed)
	c.applyReleases(e)
	if text := c.statementText(); text != nil {
		c.applyText(e, text)
	} else if e.Has(sqlclass.SetRole|sqlclass.TextPrepare) || e.Has(sqlclass.SetVariable|sqlclass.SetNames) && !c.saw.variable {
		c.ledger.pins |= PinUnknown
	}
	c.explain(e)
}

// setsInsertID reports whether a statement may change LAST_INSERT_ID() and not tell to what: answers to CALL, EXECUTE, LOAD DATA
// and INSERT .. RETURNING name no id, or not that one (MariaDB 10.11, MySQL 9.7).
func setsInsertID(s sqlclass.Statement, e sqlclass.Effect) bool {
	switch s.Verb {
	case sqlclass.Insert, sqlclass.Replace, sqlclass.LoadData:
		return true
	case sqlclass.Explain: // MariaDB's ANALYZE INSERT
		return !s.ReadOnly
	default:
		return e.Has(sqlclass.Opaque | sqlclass.Unclear | sqlclass.Multi)
	}
}

var effectPins = []struct {
	effect sqlclass.Effect
	pin    Pin
}{
	{sqlclass.TableLock, PinTableLock},
	{sqlclass.XABegin | sqlclass.XAPrepare, PinXA},
	{sqlclass.PinnedVariable, PinClock},
	{sqlclass.Untracked | sqlclass.Unclear, PinUnknown},
}

// flushLock is the global lock that UNLOCK TABLES releases: that of FLUSH TABLES.
const flushLock = "flush"

func (c *Core) applyPins(e sqlclass.Effect) {
	if e.Has(sqlclass.GlobalReadLock) {
		if c.cmd.Statement.Verb == sqlclass.Flush && !e.Has(sqlclass.Multi) {
			c.ledger.hold(PinGlobalLock, flushLock)
		} else {
			c.ledger.holdVague(PinGlobalLock)
		}
	}
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
		c.ledger.releaseAll(PinNamedLock)
	}
	if e.Has(sqlclass.TableUnlock) {
		c.ledger.pins &^= PinTableLock
		c.ledger.release(PinGlobalLock, flushLock)
	}
	if e.Has(sqlclass.XAFinish) {
		c.ledger.pins &^= PinXA
	}
	if c.cmd.Statement.Txn == sqlclass.TxnBegin {
		c.ledger.pins &^= PinTableLock // START TRANSACTION releases table locks
	}
}

// failedPrepare notes that a PREPARE which fails deallocates the statement that had the name before.
func (c *Core) failedPrepare(e sqlclass.Effect) {
	if !e.Has(sqlclass.TextPrepare) || len(c.ledger.texts) == 0 {
		return
	}
	text := c.statementText()
	name, _, ok := sqlclass.PreparedText(text, c.lexing())
	if ok && bytes.IndexByte(text, '"') < 0 { // which is a syntax error under ANSI_QUOTES
		c.ledger.dropText(name)
	} else {
		c.ledger.pins |= PinUnknown
	}
}

// applyText keeps what can only be restored by the statement's own text.
func (c *Core) applyText(e sqlclass.Effect, text []byte) {
	if !e.Has(noteEffects) {
		return
	}
	if c.saw.failed { // some of several statements: which is not known
		if e.Has(noteEffects &^ (sqlclass.UserVariable | holdingEffects)) {
			c.ledger.pins |= PinUnknown
		}
		c.ledger.roleUnknown = c.ledger.roleUnknown || e.Has(sqlclass.SetRole)
		return
	}
	if e.Has(sqlclass.SetRole) {
		c.applyRole(text)
	}
	if e.Has(sqlclass.SetVariable | sqlclass.SetNames) {
		c.applySets(text)
	}
	if e.Has(sqlclass.Multi) {
		if e.Has(sqlclass.TextPrepare | sqlclass.TextDeallocate) {
			c.ledger.pins |= PinUnknown
		}
		return
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

// applyRole keeps the role that the last SET ROLE of the text sets.
func (c *Core) applyRole(text []byte) {
	sets, ok := sqlclass.SessionSets(text, c.lexing())
	role := ""
	for _, s := range sets {
		if s.Scope == sqlclass.ScopeRole {
			role = "SET ROLE " + s.Value
		}
	}
	if !ok || role == "" {
		c.ledger.roleUnknown = true
		return
	}
	c.ledger.role, c.ledger.roleUnknown = role, false
}

// reportsCollation reports whether the server names collation_connection with the character sets.
func (c *Core) reportsCollation() bool { return c.config.Flavor == MySQL && c.tracking }

// applySets takes over the assignments that the server did not report: it named none, or leaves this one out.
func (c *Core) applySets(text []byte) {
	sets, ok := sqlclass.SessionSets(text, c.lexing())
	if !ok {
		if !c.saw.variable {
			c.ledger.pins |= PinUnknown
		}
		return
	}
	var beside []string // assigned in the same text
	for _, s := range sets {
		if s.Scope == sqlclass.ScopeSession && charsetVariables[s.Name] {
			beside = append(beside, s.Name)
		}
	}
	for _, s := range sets {
		switch s.Scope {
		case sqlclass.ScopeNames:
			names := s.Value
			if _, collation := splitNames(names); collation == "" {
				if strings.Contains(strings.ToUpper(names), "COLLATE") { // with comments between the words
					c.ledger.pins |= PinUnknown
				}
				if c.reportsCollation() || !isWord(names) {
					names = ""
				}
			}
			if names != "" {
				names = "NAMES " + names
			}
			c.ledger.setNames(names, beside)
		case sqlclass.ScopeCharset:
			names := ""
			if !c.reportsCollation() && isWord(s.Value) {
				names = characterSet + s.Value
			}
			c.ledger.setNames(names, beside)
		case sqlclass.ScopeSession:
			c.applySet(s)
		case sqlclass.ScopeGlobal, sqlclass.ScopeUser, sqlclass.ScopeRole, sqlclass.ScopeStatement:
		}
	}
}

func (c *Core) applySet(s sqlclass.Assignment) {
	switch {
	case c.tracking && s.Unscoped && nextTransaction[s.Name]: // reported as a characteristic of the transaction
	case s.Unscoped && nextTransaction[s.Name]:
		c.ledger.pins |= PinUnknown
	case c.ledger.reported(s.Name) || neverReplayed[s.Name]:
	case s.Literal:
		c.ledger.setSource(s.Name, s.Value)
	default:
		c.ledger.pins |= PinUnknown
	}
}

// nextTransaction are the variables that SET @@name, without a scope, sets for the next transaction only.
var nextTransaction = map[string]bool{
	"transaction_isolation": true, "tx_isolation": true, "transaction_read_only": true, "tx_read_only": true,
}

// charsetVariables are those that SET NAMES assigns.
var charsetVariables = map[string]bool{
	"character_set_client": true, "character_set_results": true, "character_set_connection": true, "collation_connection": true,
}

// explained are the effects that account for a report that some session state changed.
const explained = sqlclass.UserVariable | sqlclass.SetVariable | sqlclass.SetNames | sqlclass.SetTransaction |
	sqlclass.SetRole | sqlclass.TempTable | sqlclass.TempTableDrop | sqlclass.TextPrepare | sqlclass.TextDeallocate |
	sqlclass.SetStatement | sqlclass.SetPassword

// explain pins the session when the server says that something changed and nothing says what.
func (c *Core) explain(e sqlclass.Effect) {
	// An EOF packet has the flag but no room for the state. The transaction's own state sets it too, so that it tells
	// something only where code ran that is not in the text.
	ran := e.Has(sqlclass.Opaque | sqlclass.UnknownFunction | sqlclass.Unclear)
	if c.saw.eofState && ran {
		c.ledger.pins |= PinRoutine
	}
	if ran && e.Has(sqlclass.TrackerVariable) { // maybe nothing was to be reported when it did
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
