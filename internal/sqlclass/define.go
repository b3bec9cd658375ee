package sqlclass

// define reads CREATE, ALTER, DROP and RENAME as far as the kind of the object.
func (c *classifier) define(verb word) {
	c.verb = DDL
	t := c.next()
	if t.entry.word() == wordOr { // OR REPLACE
		c.next()
		t = c.next()
	}
	switch {
	case t.entry.word() == wordTemporary && verb == wordDrop:
		c.effects |= TempTableDrop
	case t.entry.word() == wordTemporary:
		c.effects |= TempTable
	case t.entry.word() == wordPrepare && verb == wordDrop:
		c.verb = Deallocate
		c.effects |= TextDeallocate
		return
	}
	for !c.done {
		switch t.entry.word() {
		case wordTable, wordObject:
			return
		case wordUser, wordRole:
			c.verb = Account
			return
		case wordStored:
			if verb == wordCreate || verb == wordAlter {
				c.body()
			}
			return
		default:
			t = c.next()
		}
	}
}

// body skips the body of a stored program, in which semicolons do not end the
// statement. Nothing of it is executed now.
func (c *classifier) body() {
	blocks, afterEnd := 0, false
	for {
		t := c.lex.next()
		w := t.entry.word()
		switch {
		case t.kind == tokenSemi && blocks <= 0, t.kind == tokenEnd:
			if blocks > 0 {
				c.effects |= Unclear
			}
			c.note(t)
			c.last = t
			return
		case w == wordBegin, w == wordCase && !afterEnd:
			blocks++
		case w == wordEnd:
			blocks--
		case afterEnd && (w == wordCompound || w == wordFor): // END IF, END LOOP
			blocks++
		}
		afterEnd = w == wordEnd
	}
}
