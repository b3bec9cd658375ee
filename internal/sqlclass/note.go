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
		switch last {
		case wordNext:
			c.effects |= SequenceNext
		case wordPrevious:
			c.effects |= SequenceRead
		default:
		}
	case wordNextval, wordLastval:
		c.noteSequence(w)
	case wordFoundRowsSet:
		c.effects |= FoundRowsSet
	case wordIdentity, wordLastInsertID, wordDiagnosticsVar:
		c.noteSysVar(w)
	default:
	}
}

// noteSequence notes s.nextval and s.currval of sql_mode ORACLE; NEXTVAL(s) is
// noted as a call.
func (c *classifier) noteSequence(w word) {
	switch {
	case !c.last.is('.'):
	case w == wordNextval:
		c.effects |= SequenceNext
	default:
		c.effects |= SequenceRead
	}
}

// noteSysVar notes what @@identity and its like read. The scope before a dot is
// not looked at.
func (c *classifier) noteSysVar(w word) {
	if c.last.kind != tokenSysVar && !(c.last.is('.') && c.before.word == wordSession) {
		return
	}
	if w == wordDiagnosticsVar {
		c.effects |= DiagnosticsRead
		return
	}
	c.effects |= LastInsertIDRead
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
