package session

import (
	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

func (c *Core) beginPrepare(pkt []byte) {
	st := &statement{
		effects:  c.cmd.Statement.Effects,
		readOnly: c.cmd.Statement.ReadOnly, verb: c.cmd.Statement.Verb, context: c.ledger.context(),
		lexing: c.lexing(),
	}
	if st.effects.Has(sqlclass.UserVariable) {
		text, _ := c.text(pkt)
		if users, ok := sqlclass.UserVariables(text, c.lexing()); ok && !c.Streaming() {
			st.users = users
		}
	}
	c.ledger.preparesElsewhere()
	c.stmt, c.effects = st, 0
	c.stmts.last, c.stmts.there = nil, nil // should it fail, "the one prepared last" is none
	if c.stmts.keepText(st, pkt) && c.Streaming() {
		c.capture = st
	}
}

// beginExecute puts the server's id into the packet and adds the parameter types where the client relies on the
// server remembering them from an earlier execution, which this server connection has not seen (1210 otherwise).
func (c *Core) beginExecute(pkt []byte) []byte {
	st := c.findIn(pkt)
	if st == nil {
		c.stmts.keepOff(pkt)
		return pkt
	}
	c.stmt, c.effects = st, st.effects
	c.address(pkt, st)
	if st.long != nil || st.longData {
		pkt = c.withLong(st, c.withTypes(pkt, st))
		c.stmts.dropLong(st)
		return pkt
	}
	return c.withTypes(pkt, st)
}

// cursorTypes are the bits of an execution's flags that ask for a cursor.
const cursorTypes = 0x07

// asksCursor reports whether pkt, or what is there of it, is an execution that asks for a cursor.
func asksCursor(command byte, pkt []byte) bool {
	const flags = wire.HeaderSize + 1 + 4
	return command == wire.ComStmtExecute && len(pkt) > flags && pkt[flags]&cursorTypes != 0
}

// address puts the server's id of st into pkt. "The one prepared last" stays where it means the same to the server: only with it
// MariaDB refuses an execution without its parameters (1835); with a number it reads on behind the packet (10.11).
func (c *Core) address(pkt []byte, st *statement) {
	if getID(pkt) != lastPrepared || c.stmts.there != st || !c.known(st) {
		putID(pkt, st.serverID)
	}
}

// withTypes gives the execution pkt of st with the parameter types that the server has not seen.
func (c *Core) withTypes(pkt []byte, st *statement) []byte {
	if c.cmd.Code == wire.ComStmtBulkExecute {
		return c.spliceBulk(pkt, st)
	}
	t := executeTypes(pkt, st, c.config.Client.Has(wire.ClientQueryAttributes))
	switch {
	case !t.ok:
		return pkt
	case t.end > t.blob:
		st.rememberTypes(pkt[t.blob:t.end], t.params)
		st.sentTypes = true
	case !st.sentTypes && len(st.types) > 0 && st.typeCount == t.params:
		pkt, st.sentTypes = c.splice(pkt, t.flag, t.blob, append([]byte{1}, st.types...))
	}
	return pkt
}

// spliceBulk is beginExecute for COM_STMT_BULK_EXECUTE: id4 flags2, types when flag 128 is set.
func (c *Core) spliceBulk(pkt []byte, st *statement) []byte {
	const sendTypes = 128
	at := wire.HeaderSize + 5
	if len(pkt) < at+2 {
		return pkt
	}
	if pkt[at]&sendTypes != 0 {
		if end := at + 2 + 2*int(st.params); len(pkt) >= end {
			st.rememberTypes(pkt[at+2:end], int(st.params))
			st.sentTypes = true
		}
		return pkt
	}
	if st.sentTypes || len(st.types) == 0 {
		return pkt
	}
	if pkt, st.sentTypes = c.splice(pkt, at+2, at+2, st.types); st.sentTypes {
		pkt[at] |= sendTypes
	}
	return pkt
}

// splice gives pkt with the bytes from..to replaced, and its length corrected. A packet of 16 MiB has no room for them: it is
// given as it is, with false, and the server will refuse the execution (1210).
func (c *Core) splice(pkt []byte, from, to int, with []byte) ([]byte, bool) {
	if wire.PayloadLen(pkt)+len(with) >= wire.MaxPayload {
		return pkt, false
	}
	c.scratch = spliced(c.scratch[:0], pkt, from, to, with)
	return c.scratch, true
}

// spliced appends to dst, which is empty, pkt with the bytes from..to replaced, and its length corrected.
func spliced(dst, pkt []byte, from, to int, with []byte) []byte {
	dst = append(append(append(dst, pkt[:from]...), with...), pkt[to:]...)
	wire.PutHeader(dst, wire.PayloadLen(pkt)+len(with)-(to-from), pkt[3])
	return dst
}

func (c *Core) beginStatement(pkt []byte) []byte {
	st := c.findIn(pkt)
	if st == nil {
		c.stmts.keepOff(pkt)
		return pkt
	}
	c.address(pkt, st)
	if !c.known(st) { // closed when the server connection has just been replaced: there its id may be another one's
		putID(pkt, 0)
	}
	c.stmt = st
	switch c.cmd.Code {
	case wire.ComStmtClose:
		c.stmts.remove(st)
	case wire.ComStmtSendLongData:
		out := c.withLong(st, pkt)
		c.stmts.keepLong(st, pkt, !c.Streaming())
		st.longGeneration = c.generation
		return out
	case wire.ComStmtReset:
		c.stmts.setCursor(st, false)
		c.stmts.dropLong(st)
	}
	return pkt
}
