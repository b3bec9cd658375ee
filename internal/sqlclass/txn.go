package sqlclass

// transaction reads the statements of transaction control.
func (c *classifier) transaction(w word) {
	switch w {
	case wordBegin:
		c.begin()
	case wordStart:
		c.startTransaction()
	case wordCommit:
		c.verb, c.txn = Commit, TxnEnd
		c.completion()
	case wordRollback:
		c.verb, c.txn = Rollback, TxnEnd
		c.completion()
	case wordRelease: // RELEASE SAVEPOINT
		c.verb = Savepoint
	case wordXA:
		c.xa()
	default:
	}
}

// begin tells BEGIN [WORK] from the beginning of a block.
func (c *classifier) begin() {
	switch t := c.next(); {
	case c.done, t.entry.word() == wordTransaction:
		c.verb, c.txn = Begin, TxnBegin
	default: // BEGIN NOT ATOMIC, or a block of sql_mode ORACLE
		c.compound()
	}
}

// startTransaction tells START TRANSACTION from START REPLICA and its like.
func (c *classifier) startTransaction() {
	if c.next().entry.word() != wordTransaction {
		c.verb = Admin
		return
	}
	c.verb, c.txn = Begin, TxnBegin
}

// completion reads what follows COMMIT and ROLLBACK: [WORK] [AND [NO] CHAIN]
// [[NO] RELEASE], and TO SAVEPOINT.
func (c *classifier) completion() {
	for !c.done {
		before := c.last.entry.word()
		switch c.next().entry.word() {
		case wordTo:
			c.verb, c.txn = Savepoint, TxnNone
		case wordChain:
			if before != wordNo {
				c.txn = TxnChain
			}
		default:
		}
	}
}

// xa reads the XA statements. XA RECOVER has no effects.
func (c *classifier) xa() {
	c.verb = XA
	switch c.next().entry.word() {
	case wordStart, wordBegin:
		c.txn, c.effects = TxnBegin, c.effects|XABegin
	case wordPrepare:
		c.effects |= XAPrepare
	case wordCommit, wordRollback:
		c.txn, c.effects = TxnEnd, c.effects|XAFinish
	default:
	}
}
