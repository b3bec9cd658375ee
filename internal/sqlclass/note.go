package sqlclass

// noteWord sets the effects of a word by what stands before it.
func (c *classifier) noteWord(w word) {
	last := c.last.entry.word()
	c.noteTarget(w)
	switch w {
	case wordUpdate, wordShare:
		if last == wordFor {
			c.effects |= ForUpdate
		}
	case wordIn:
		if last == wordLock {
			c.effects |= ForUpdate
		}
	case wordOutfile:
		if last == wordInto {
			c.effects |= IntoOutfile
		}
	case wordValue:
		if last == wordNext {
			c.effects |= SequenceNext
		}
	case wordNextval: // s.nextval of sql_mode ORACLE; NEXTVAL(s) is noted as a call
		if c.last.is('.') {
			c.effects |= SequenceNext
		}
	default:
	}
}

// noteTarget keeps track of whether a name to come before a parenthesis is a
// table or an alias: INSERT INTO t (a), WITH t (a) AS, AS t (a). That name has passed when
// another one follows it: FROM u AS t WHERE f(a).
func (c *classifier) noteTarget(w word) {
	switch w {
	case wordInto, wordTable, wordAs, wordWith, wordRecursive:
		c.target = true
	case wordInsert, wordReplace:
		c.target = c.last.kind == tokenSemi
	case wordNone, wordModifier:
	default:
		c.target = false
	}
}
