package session

import (
	"encoding/binary"
	"fmt"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// Next is what a driver does after bytes of the server were fed.
type Next uint8

// What a driver does next.
const (
	ReadServer Next = iota // read more from the server
	ReadInfile             // the client has the word: its file goes through Infile
	Finished               // the response is complete; follow-up with FollowUp, then await the next command
)

// maxScratch is how large a scratch buffer an idle session keeps, in bytes.
const maxScratch = 4 << 10

// Server takes bytes of the server that answer the command under way. It returns those to forward (out, a prefix of
// buf edited in place), how many bytes of buf were used up (n; the rest is to be fed again with what follows), and
// what to do next. The error wraps ErrProtocol: the server connection is unusable.
func (c *Core) Server(buf []byte) (out []byte, n int, next Next, err error) {
	w := 0
	for {
		m, f := c.tracker.Feed(buf[n:])
		if f.Mark == wire.MarkMalformed {
			return buf[:w], n, Finished, fmt.Errorf("%w: unexpected packet in the response to %s", ErrProtocol, wire.CommandName(c.cmd.Code))
		}
		plain := m
		if f.Mark != wire.MarkMore {
			plain = f.Start
		}
		w = move(buf, w, n, plain)
		if f.Mark == wire.MarkMore {
			return buf[:w], n + m, ReadServer, nil
		}
		pkt := c.packet(f.Mark, buf[n+f.Start:n+f.End])
		w += copy(buf[w:], pkt)
		n += m
		switch {
		case f.Mark == wire.MarkInfile:
			c.pass = 0
			return buf[:w], n, ReadInfile, nil
		case f.Last:
			c.finish()
			if cap(c.scratch) > maxScratch {
				c.scratch = nil
			}
			return buf[:w], n, Finished, nil
		}
	}
}

// move shifts size bytes at from down to w, and returns the new end; nothing is copied in the ordinary case from == w.
func move(buf []byte, w, from, size int) int {
	if from != w {
		copy(buf[w:], buf[from:from+size])
	}
	return w + size
}

// packet learns from one terminal packet and gives it as the client is to see it.
func (c *Core) packet(m wire.Mark, pkt []byte) []byte {
	switch m {
	case wire.MarkOK:
		o, err := wire.ParseOK(pkt[wire.HeaderSize:])
		if err != nil {
			return pkt // Feed has parsed it before
		}
		c.learnOK(&o)
		c.saw.ok, c.saw.rows = true, o.AffectedRows
		if c.strip {
			return o.Strip(pkt)
		}
		if c.filter && o.Track != nil {
			return o.Keep(pkt, c.asked.wants)
		}
	case wire.MarkEOF:
		c.learnEOF(pkt)
	case wire.MarkPrepareOK:
		c.learnPrepare(pkt)
	case wire.MarkERR:
		c.saw.failed, c.saw.code = true, binary.LittleEndian.Uint16(pkt[wire.HeaderSize+1:])
		if c.effects.Has(sqlclass.Opaque | sqlclass.Unclear | sqlclass.UnknownFunction) {
			c.ledger.unsure = true
		}
	case wire.MarkMore, wire.MarkInfile, wire.MarkDone, wire.MarkMalformed:
	}
	return pkt
}

func (c *Core) learnEOF(pkt []byte) {
	at := wire.HeaderSize + 3
	s := wire.Status(binary.LittleEndian.Uint16(pkt[at:]))
	if s.Has(wire.StatusSessionStateChanged) {
		c.saw.eofState = true
		if c.strip || c.filter && !c.asked.more() { // what changed has no room in an EOF packet: nobody needs the flag
			pkt[at+1] &^= byte(wire.StatusSessionStateChanged >> 8)
		}
	}
	c.setStatus(s)
	c.saw.eof = true
	if c.saw.eofState && !c.Busy() {
		// The report comes with the next OK, maybe on no connection of ours: a statement outside a transaction has used up
		// what SET TRANSACTION said. SET STATEMENT sets the flag for another reason.
		if c.effects.Has(sqlclass.SetStatement) && len(c.ledger.txnChars) > 0 {
			c.ledger.pins |= PinUnknown
		}
		c.ledger.txnChars = c.ledger.txnChars[:0]
	}
}

func (c *Core) learnPrepare(pkt []byte) {
	st := c.stmt
	if st == nil || len(pkt) < wire.HeaderSize+9 {
		return
	}
	st.readShape(pkt)
	c.stmts.add(st, getID(pkt), c.generation)
	if st.clientID != st.serverID {
		putID(pkt, st.clientID)
	}
}

// readShape takes the number of parameters out of a COM_STMT_PREPARE answer.
func (st *statement) readShape(pkt []byte) {
	st.params = binary.LittleEndian.Uint16(pkt[wire.HeaderSize+7:])
}

// setStatus notes the status word. The cursor flags are about the statement under way.
func (c *Core) setStatus(s wire.Status) {
	c.ledger.status, c.ledger.unsure = s, false
	if c.stmt == nil {
		return
	}
	switch c.cmd.Code {
	case wire.ComStmtExecute:
		c.stmts.setCursor(c.stmt, c.cursor && s.HasCursor() && !s.Has(wire.StatusLastRowSent))
	case wire.ComStmtFetch:
		if s.Has(wire.StatusLastRowSent) {
			c.stmts.setCursor(c.stmt, false)
		}
	}
}

// owesReport reports whether a result that ended with an EOF packet, which has no room for a report, may have left one
// that matters: of what code outside the text did, or of a transaction that used up what SET TRANSACTION said. MySQL 9.7
// gives it with the next OK; MariaDB loses it but sets a flag in the EOF packet.
func (c *Core) owesReport() bool {
	return c.effects.Has(sqlclass.Opaque|sqlclass.UnknownFunction|sqlclass.Unclear) ||
		c.config.Flavor == MySQL && len(c.ledger.txnChars) > 0 && !c.Busy()
}

// Doubtful reports whether the command that has just finished may have left a transaction open of which nothing is known:
// an ERR packet does not tell. Some errors end it, and without autocommit a statement that fails may have begun one.
func (c *Core) Doubtful() bool { return c.saw.failed && (c.Busy() || !c.Autocommit()) }

// FollowUp gives bytes that must go to the server after the command that has just finished, before the next one; nil
// ordinarily: session tracking is set up again when the client reset the connection (and the character sets, where the
// connection was logged in with others) or changed the trackers, after an error in a transaction or without autocommit the
// server is asked whether that goes on, and where a result ended with an EOF packet, what a routine did to the session. Their
// response is a prelude. When that does not come, the session cannot be rebuilt as it was; see Pins.
func (c *Core) FollowUp() []byte {
	if !c.tracking && !c.Doubtful() {
		return nil
	}
	c.owed = c.tracking && (c.saw.eof && !c.saw.failed && c.owesReport() || c.saw.failed && c.effects.Has(sqlclass.Opaque|sqlclass.UnknownFunction))
	ask, undone := c.owed || c.Doubtful(), c.tracking && c.trackingUndone()
	if !ask && !undone {
		return nil
	}
	c.prelude.begin(c.features)
	c.scratch = c.scratch[:0]
	if ask {
		c.prelude.expect(expectation{command: wire.ComPing, what: "ask for the state of the session"})
		c.scratch = append(c.scratch, 1, 0, 0, 0, wire.ComPing)
	}
	if undone {
		c.scratch = c.appendQuery(c.scratch, c.trackingSQL(), setUpTracking)
	}
	if sql := c.loginSQL(); sql != "" && c.cmd.Code == wire.ComResetConnection {
		c.scratch = c.appendQuery(c.scratch, sql, restoreLogin)
	}
	return c.scratch
}

// trackingUndone reports whether the command that has just finished may have changed the trackers.
func (c *Core) trackingUndone() bool {
	undone := c.cmd.Code == wire.ComResetConnection || c.effects.Has(sqlclass.TrackerVariable)
	return undone && (!c.saw.failed || c.effects.Has(sqlclass.Multi))
}

// unreported notes that the server connection is gone before it gave the report that it owed. MariaDB has told by a flag
// whether there is one.
func (c *Core) unreported() {
	owed := c.owed && c.config.Flavor == MySQL
	c.owed = false
	if !owed {
		return
	}
	c.ledger.txnChars = c.ledger.txnChars[:0]
	if c.effects.Has(sqlclass.Opaque | sqlclass.UnknownFunction | sqlclass.Unclear) {
		c.ledger.pins |= PinRoutine
	}
}
