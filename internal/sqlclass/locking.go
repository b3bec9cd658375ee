package sqlclass

// locking reads the statements that lock tables or the server.
func (c *classifier) locking(w word) {
	switch w {
	case wordLock:
		c.verb = Lock
		c.lock()
	case wordUnlock:
		c.verb = Unlock
		if c.next().entry.word() == wordTable {
			c.effects |= TableUnlock
		}
	case wordFlush:
		c.verb = Flush
		c.flush()
	case wordBackup:
		c.verb = Admin
		c.backup()
	case wordHandler:
		c.verb = Handler
		c.handler()
	default:
	}
}

// lock reads LOCK TABLES, LOCK INSTANCE FOR BACKUP and Percona's LOCK TABLES FOR
// BACKUP and LOCK BINLOG FOR BACKUP.
func (c *classifier) lock() {
	if c.next().entry.word() != wordTable {
		c.effects |= GlobalReadLock
		return
	}
	c.effects |= TableLock
	if c.next().entry.word() == wordFor {
		c.effects |= GlobalReadLock
	}
}

// flush looks for WITH READ LOCK and FOR EXPORT.
func (c *classifier) flush() {
	for !c.done {
		before := c.last.entry.word()
		switch c.next().entry.word() {
		case wordLock:
			if before == wordRead {
				c.effects |= GlobalReadLock
			}
		case wordExport:
			if before == wordFor {
				c.effects |= GlobalReadLock
			}
		default:
		}
	}
}

// backup reads MariaDB's BACKUP statements.
func (c *classifier) backup() {
	switch c.next().entry.word() {
	case wordLock:
		c.effects |= GlobalReadLock
	case wordStage:
		if c.next().entry.word() != wordEnd {
			c.effects |= GlobalReadLock
		}
	default:
	}
}

// handler looks for OPEN and CLOSE behind the name of the table; READ has no
// effect.
func (c *classifier) handler() {
	for !c.done {
		switch c.next().entry.word() {
		case wordOpen:
			c.effects |= HandlerOpen
		case wordClose:
			c.effects |= HandlerClose
		case wordRead:
			return
		default:
		}
	}
}
