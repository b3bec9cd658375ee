package session

import (
	"bytes"
	"slices"
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
			if len(e.Value) == 0 {
				c.leftSchema()
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

// leftSchema pins a session whose default schema was dropped where none can be had again: character_set_database follows the
// session's character_set_server then, that of a login does not; and who uses a schema to prepare a statement again stays there.
func (c *Core) leftSchema() {
	there := c.ledger.serverCharset() || slices.ContainsFunc(c.ledger.texts, func(t preparedText) bool { return t.context.schema != "" })
	for _, st := range c.stmts.byID {
		there = there || st.context.schema != ""
	}
	if there {
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

// releaseEffects let go of something that pins, whose text tells whether they happened for certain.
const releaseEffects = sqlclass.TableUnlock | sqlclass.NamedLockReleaseAll | sqlclass.XAFinish

// noted reports whether finish will need the text of the command under way.
func (c *Core) noted() bool {
	return c.effects.Has(noteEffects|releaseEffects|sqlclass.TextExecute) || c.ledger.pins&PinTableLock != 0
}

// note keeps the text of a statement that finish will need; the packet is gone by then.
func (c *Core) note(pkt []byte) {
	if !c.noted() && !c.notesUntracked() {
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
	c.ledger.ranCode = c.ledger.ranCode || e.Has(sqlclass.Opaque|sqlclass.UnknownFunction|sqlclass.Unclear)
	c.ledger.insertIDSet = c.ledger.insertIDSet || e.Has(sqlclass.LastInsertIDSet)
	if c.saw.failed {
		c.failedCode(e)
	}
	if c.saw.failed && !c.saw.state && (!e.Has(sqlclass.Multi) || !c.saw.ok && !c.saw.eof) { // the first statement, if there are several
		c.learnHoldings(e, true)
		c.failedPrepare(e)
		return
	}
	said := e
	if c.noted() {
		said = c.certain(e)
	}
	c.applyPins(e)
	c.learnHoldings(e, c.saw.failed)
	c.applyReleases(said)
	if text := c.statementText(); text != nil {
		c.applyText(said, text)
	} else if e.Has(sqlclass.SetRole|sqlclass.TextPrepare) || e.Has(sqlclass.SetVariable|sqlclass.SetNames) && !c.saw.variable {
		c.ledger.pins |= PinUnknown
	}
	c.explain(e)
}

// failedCode pins the session of a MariaDB when code that is not in the text has failed: what that had changed before is never
// reported (10.11), while MySQL reports it with the next answer (9.7), which FollowUp asks for.
func (c *Core) failedCode(e sqlclass.Effect) {
	const parseError = 1064
	if c.config.Flavor != MariaDB {
		return
	}
	ran := e.Has(sqlclass.Opaque)
	if e.Has(sqlclass.TextExecute) && c.cmd.Statement.Verb == sqlclass.Execute {
		ran = c.ledger.running() || bytes.Contains(bytes.ToLower(c.statementText()), []byte("immediate"))
	}
	if e.Has(sqlclass.UnknownFunction) && c.saw.code != parseError {
		ran = true
	}
	if ran {
		c.ledger.pins |= PinRoutine
	}
}

// textStates are the effects whose outcome is taken from the text, apart from what holds something.
const textStates = sqlclass.SetVariable | sqlclass.SetNames | sqlclass.SetRole | sqlclass.TextPrepare | sqlclass.TextDeallocate

// certain gives the effects that the command under way has had for certain, as far as the text is needed to tell: what stands
// in executable comments (/*!80000 .. */) may have been skipped. That nothing was run shows by a server that reports no change.
func (c *Core) certain(e sqlclass.Effect) sqlclass.Effect {
	text := c.statementText()
	if text == nil || !sqlclass.Conditional(text, c.textLexing()) {
		return e
	}
	c.conditional = true
	e &^= releaseEffects
	whole := bytes.HasPrefix(bytes.TrimSpace(text), []byte("/*")) && bytes.HasSuffix(bytes.TrimSpace(text), []byte("*/")) && bytes.Count(text, []byte("*/")) == 1
	switch {
	case c.saw.state && whole && !e.Has(sqlclass.Multi):
		return e
	case (c.saw.state || !c.tracking) && e.Has(textStates),
		c.config.Flavor == MariaDB && e.Has(sqlclass.SetVariable) && c.silent(text):
		c.ledger.pins |= PinUnknown
	}
	if e.Has(sqlclass.SetRole) && (c.saw.state || !c.tracking || c.config.Flavor == MySQL) {
		c.ledger.roleUnknown = true
	}
	return e &^ textStates
}

// silent reports whether a text sets variables in the way that MariaDB reports nothing of: SET @@name without a scope (10.11).
func (c *Core) silent(text []byte) bool {
	if c.config.Flavor != MariaDB {
		return false
	}
	sets, ok := sqlclass.SessionSets(text, c.textLexing())
	return !ok || slices.ContainsFunc(sets, func(s sqlclass.Assignment) bool { return s.Unscoped && s.Scope == sqlclass.ScopeSession })
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
	if e.Has(sqlclass.SetStatement) && e.Has(sqlclass.SetVariable|sqlclass.SetNames|sqlclass.SetRole) {
		c.ledger.pins |= PinUnknown // SET STATEMENT v=x FOR SET: which of what is reported stays is not known
	}
	if e.Has(sqlclass.TextExecute) && (c.config.Flavor == MariaDB && e.Has(sqlclass.SetVariable) || c.ledger.silentTexts()) {
		c.ledger.pins |= PinUnknown // SET @@name, which leaves no report
	}
}

func (c *Core) applyReleases(e sqlclass.Effect) {
	if e.Has(sqlclass.Multi) || c.saw.failed || c.conditional {
		return // in which order is not known, or whether at all
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
	name, _, ok := sqlclass.PreparedText(text, c.textLexing())
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
		if name, inner, ok := sqlclass.PreparedText(text, c.textLexing()); ok {
			c.ledger.preparesElsewhere()
			c.ledger.setText(preparedText{
				name: name, sql: strings.TrimRight(string(text), "; \t\r\n"), context: c.ledger.context(),
				silent: e.Has(sqlclass.SetVariable) && c.silent([]byte(inner)), runs: e.Has(sqlclass.Opaque | sqlclass.UnknownFunction),
			})
		} else {
			c.ledger.pins |= PinUnknown // prepared from a variable
		}
	}
	if e.Has(sqlclass.TextDeallocate) {
		if name, ok := sqlclass.DeallocatedName(text, c.textLexing()); ok {
			c.ledger.dropText(name)
		}
	}
}

// applyRole keeps the role that the last SET ROLE of the text sets.
func (c *Core) applyRole(text []byte) {
	sets, ok := sqlclass.SessionSets(text, c.textLexing())
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
	sets, ok := sqlclass.SessionSets(text, c.textLexing())
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
				if c.saw.schema && c.effects.Has(sqlclass.Multi) { // before or after the USE
					c.ledger.pins |= PinUnknown
				}
			}
			c.ledger.setNames(names, beside)
			if names != "" && (len(c.ledger.texts) > 0 || len(c.stmts.byID) > 0) {
				c.ledger.pins |= PinUnknown // see preparesElsewhere
			}
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
	case c.config.Flavor == MariaDB && strings.HasPrefix(s.Name, "character_set_") && strings.EqualFold(s.Value, "DEFAULT"):
		if s.Name == "character_set_client" && !c.ledger.reported(s.Name) { // how texts are read now is not known
			c.ledger.pins |= PinUnknown
		}
		c.ledger.setSource(s.Name, s.Value) // what is reported is a character set only, and the default has a collation
	case c.ledger.reported(s.Name) || neverReplayed[s.Name]:
	case s.Literal:
		c.ledger.setSource(s.Name, s.Value)
	case readable(s.Name):
		c.ledger.setUnread(s.Name)
	default:
		c.ledger.pins |= PinUnknown
	}
}

// readable reports whether the value of a variable can be asked for when the session moves; those that decide how texts are
// read are needed before.
func readable(name string) bool {
	for _, b := range []byte(name) {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '_' {
			return false
		}
	}
	return name != "sql_mode" && !charsetVariables[name]
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
