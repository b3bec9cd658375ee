package sqlclass

// head reads the beginning of a statement, whose first token is t, as far as it
// decides the verb and what comes with it.
func (c *classifier) head(t token) {
	for t.is('(') {
		t = c.next()
	}
	w := t.entry.word()
	if verb := plainVerb(w); verb != Empty {
		c.verb = verb
		return
	}
	switch w {
	case wordWith:
		c.with()
	case wordSet:
		c.verb = Set
		c.set()
	case wordExplain, wordAnalyze:
		c.explain(w)
	case wordCreate, wordAlter, wordDrop, wordRename:
		c.define(w)
	case wordBegin, wordStart, wordCommit, wordRollback, wordRelease, wordXA:
		c.transaction(w)
	case wordLock, wordUnlock, wordFlush, wordBackup, wordHandler:
		c.locking(w)
	case wordPrepare, wordExecute, wordDeallocate:
		c.textPrepared(w)
	default:
		c.rareHead(w)
	}
}

// plainVerb returns the verb of statements that their first word decides and that
// have no more to tell than any text has, else Empty.
func plainVerb(w word) Verb {
	switch w {
	case wordSelect:
		return Select
	case wordInsert:
		return Insert
	case wordUpdate:
		return Update
	case wordDelete:
		return Delete
	case wordReplace:
		return Replace
	case wordValues:
		return Values
	case wordTable:
		return Table
	case wordDo:
		return Do
	case wordUse:
		return Use
	case wordSavepoint:
		return Savepoint
	case wordHelp:
		return Help
	case wordTruncate:
		return DDL
	case wordGrant:
		return Account
	case wordAdmin:
		return Admin
	default:
		return Empty
	}
}

// rareHead is head for the statements that nothing is gained for by speed.
func (c *classifier) rareHead(w word) {
	switch w {
	case wordCall:
		c.verb, c.effects = Call, c.effects|Opaque
	case wordShow:
		c.verb = Show
	case wordLoad:
		c.load()
	case wordKill:
		c.verb, c.effects = Kill, c.effects|KillThread
	case wordBinlog:
		c.verb, c.effects = Admin, c.effects|Untracked
	case wordGet, wordSignal:
		c.verb = Diagnostics
	case wordCompound, wordCase, wordFor:
		c.compound()
	default:
		c.verb, c.effects = Other, c.effects|Unclear
	}
}

// compound takes all the text there is: its statements end with semicolons too.
func (c *classifier) compound() {
	c.verb, c.effects = Compound, c.effects|Opaque|Unclear
	for !c.eof {
		c.done = false
		c.next()
	}
}

// with finds the statement behind the common table expressions.
func (c *classifier) with() {
	c.verb = Select
	for !c.done {
		t := c.next()
		if c.parens > 0 {
			continue
		}
		switch t.entry.word() {
		case wordSelect, wordTable, wordUpdate, wordDelete, wordInsert, wordReplace:
			c.verb = plainVerb(t.entry.word())
			return
		default:
		}
	}
}

// explain reads up to the statement explained. A described table ends it too.
func (c *classifier) explain(w word) {
	c.verb = Explain
	for !c.done {
		switch t := c.next(); t.entry.word() {
		case wordTable:
			if w == wordAnalyze {
				c.verb = Admin
			}
			return
		case wordSelect, wordValues:
			return
		case wordWith:
			c.with()
			c.writes = c.verb != Select
			c.verb = Explain
			return
		case wordInsert, wordReplace, wordUpdate, wordDelete, wordSet:
			c.writes = true
			return
		default:
		}
	}
}

// load tells LOAD DATA and LOAD XML from LOAD INDEX INTO CACHE.
func (c *classifier) load() {
	c.verb = LoadData
	if c.next().entry.word() == wordObject {
		c.verb = Admin
	}
}
