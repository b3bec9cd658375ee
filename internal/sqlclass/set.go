package sqlclass

// set reads the list of a SET statement.
func (c *classifier) set() {
	global := false
	t := c.next()
	if t.entry.word() == wordStatement {
		c.setStatement()
		return
	}
	for !c.done {
		itemGlobal := false
		if t.kind == tokenSysVar {
			t = c.scope(c.next(), &itemGlobal)
		} else {
			t = c.scope(t, &global)
			itemGlobal = global
		}
		c.assignment(t, itemGlobal)
		if t.entry.word() == wordTransaction { // the commas behind it are its own
			c.rest()
			return
		}
		if c.skipItem() == wordFor {
			return
		}
		t = c.next()
	}
}

// scope reads an optional scope and returns the token behind it. SET GLOBAL a = 1,
// b = 2 sets both globally; @@global.a holds for the one name only [MariaDB 10.11].
func (c *classifier) scope(t token, global *bool) token {
	switch t.entry.word() {
	case wordGlobal:
		*global = true
	case wordSession, wordLocal:
		*global = false
	default:
		return t
	}
	t = c.next()
	if t.is('.') {
		t = c.next()
	}
	return t
}

// assignment notes what is assigned by the name t.
func (c *classifier) assignment(t token, global bool) {
	e := t.entry
	switch t.kind {
	case tokenUserVar:
		c.effects |= UserVariable
		return
	case tokenBacktick, tokenString:
		e = lookupName(c.lex.src[t.start+1 : max(t.end-1, t.start+1)])
	case tokenWord, tokenNumber:
	default:
		c.effects |= Unclear
		return
	}
	switch e.word() {
	case wordTransaction:
		c.effects |= SetTransaction
	case wordNames, wordCharacter:
		c.effects |= SetNames
	case wordPassword:
		c.effects |= SetPassword
	case wordRole:
		c.effects |= SetRole
	case wordDefault: // DEFAULT ROLE, and default.keycache
	case wordResource, wordAuthorization:
		c.effects |= Untracked
	default:
		if !global {
			c.variable(e.word())
		}
	}
}

// variable notes the assignment of a session variable.
func (c *classifier) variable(w word) {
	c.effects |= SetVariable
	switch w {
	case wordPinnedVar:
		c.effects |= PinnedVariable
	case wordTrackerVar:
		c.effects |= TrackerVariable
	case wordLastInsertID, wordIdentity:
		c.effects |= LastInsertIDSet
	case wordSQLMode:
		c.modeSet = true
	default:
	}
}

// skipItem reads to behind the comma that ends the item, to the end, or to FOR
// outside of parentheses, which it returns.
func (c *classifier) skipItem() word {
	for !c.done {
		t := c.next()
		if c.parens > 0 {
			continue
		}
		if t.is(',') {
			return wordNone
		}
		if t.entry.word() == wordFor && c.effects.Has(SetStatement) {
			return wordFor
		}
	}
	return wordNone
}

// setStatement reads MariaDB's SET STATEMENT v=x, ... FOR and goes on with the
// statement behind it.
func (c *classifier) setStatement() {
	c.effects |= SetStatement
	for c.skipItem() != wordFor {
		if c.done {
			return
		}
	}
	t := c.next()
	c.effects &^= SetStatement
	if c.nested++; c.nested > maxDepth {
		c.verb, c.effects = Other, c.effects|Unclear
		return
	}
	c.head(t)
	c.effects |= SetStatement
}
