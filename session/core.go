package session

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
)

// MaxInspect is how many bytes of a statement are looked at before it is sent on; longer ones are streamed behind
// that, and their sessions are pinned unless the beginning tells that nothing can have happened to the session.
const MaxInspect = 1 << 20

// ErrProtocol says that the peer broke the protocol of the command phase; the connection cannot go on.
var ErrProtocol = errors.New("session: protocol violation")

// Flavor tells which dialect of session tracking the servers speak.
type Flavor uint8

// The flavours.
const (
	MySQL Flavor = iota
	MariaDB
)

// Config is what a login settles for the life of a session. All its servers must agree in it.
type Config struct {
	Flavor Flavor
	Client wire.Capability // agreed with the client
	Server wire.Capability // agreed with the server
	Schema string          // default schema asked for at login
	// Collation is the id of the collation that the client named at login, or at a change of user: only there it can be above 255.
	Collation uint16
	// Relayed says that the account's plugin left no secret: the session cannot log in a second time.
	Relayed bool
	// ReleasesLocks says that the server has RELEASE_ALL_LOCKS(): MySQL from 5.7.5 on, MariaDB from 10.5.2 on.
	ReleasesLocks bool
}

// Core is the protocol machine of one session. It is fed by one driver and safe for one goroutine only. Slices that
// its methods return alias the buffers given to them, or a buffer of the Core; they are valid until the next call.
type Core struct {
	config   Config
	features wire.Features
	strip    bool // the client does not know session tracking, the server hop uses it
	tracking bool // the server reports session state
	filter   bool // the client knows it too, and is to see what it asked for
	asked    trackers

	ledger     ledger
	stmts      statements
	tracker    wire.Tracker
	generation uint32 // counts the server connections this session has had
	loggedInAs byte   // the collation that the present one was logged in with
	attached   bool

	cmd         Command
	effects     sqlclass.Effect // of the command under way
	stmt        *statement      // that the command under way is about
	cursor      bool            // it is an execution that asks for a cursor
	capture     *statement      // whose text is still being streamed
	pass        int             // payload bytes of the command still to come from the client
	cont        bool            // another packet of the same command follows
	infile      bool
	saw         observed
	owed        bool             // the server was asked for a report that an EOF packet had no room for
	charsets    uint32           // count of character set changes when the command under way began
	lexed       sqlclass.Options // how its text is to be read: it may change that itself
	conditional bool             // it has code that its server may have skipped
	scratch     []byte
	prelude     prelude

	retarget retarget // of the kill that Begin is about to send; empty otherwise
}

// observed is what the server reported of the session during one command.
type observed struct {
	state, variable, schema, failed bool
	ok                              bool   // an OK packet came
	rows                            uint64 // affected, as the last one says
	code                            uint16 // of the last ERR packet
	eof                             bool   // some result ended with an EOF packet
	eofState                        bool   // the bit in an EOF packet, which cannot carry the state itself
}

// Command is one client command, as far as its driver needs to know it.
type Command struct {
	Code byte
	// Seq is the sequence number of the last packet of the command; an answer made up by the driver carries Seq+1.
	Seq byte
	// Statement classifies the text of COM_QUERY and COM_STMT_PREPARE, and that of the statement being executed.
	Statement sqlclass.Statement
	// ReadOnly is true when the command certainly writes nothing and takes no locks that a fence would wait for.
	ReadOnly bool
	// Local is true when the session can answer it without a server (Local method).
	Local bool
}

// MayCommit reports whether the command, run inside a transaction, may end it, so that nobody can say what became of
// the transaction when its answer is lost.
func (c Command) MayCommit() bool {
	switch c.Code {
	case wire.ComQuery, wire.ComStmtExecute, wire.ComStmtBulkExecute:
	default:
		return c.Code == wire.ComRefresh
	}
	if c.Statement.Effects.Has(sqlclass.Multi | sqlclass.Opaque | sqlclass.Unclear) {
		return true
	}
	switch c.Statement.Verb {
	case sqlclass.Select, sqlclass.Values, sqlclass.Table, sqlclass.Insert, sqlclass.Replace, sqlclass.Update,
		sqlclass.Delete, sqlclass.LoadData, sqlclass.Do, sqlclass.Show, sqlclass.Explain, sqlclass.Savepoint:
		return false
	default:
		return true
	}
}

// New makes the machine for a session that has logged in.
func New(c Config) *Core {
	f := wire.Features{
		DeprecateEOF:     c.Server.Has(wire.ClientDeprecateEOF),
		OptionalMetadata: c.Server.Has(wire.ClientOptionalMetadata),
		CacheMetadata:    c.Server.Has(wire.MariaDBCacheMetadata),
		Progress:         c.Server.Has(wire.MariaDBProgress),
	}
	core := &Core{
		config: c, features: f, tracker: wire.NewTracker(f), ledger: newLedger(c.Schema, c.Collation, c.Flavor),
		tracking: c.Server.Has(wire.ClientSessionTrack),
	}
	core.strip = core.tracking && !c.Client.Has(wire.ClientSessionTrack)
	core.filter = core.tracking && !core.strip
	core.ledger.status = wire.StatusAutocommit
	core.ledger.multibyte = multibyteOf(c.Collation)
	if c.Relayed {
		core.ledger.pins |= PinAuth
	}
	return core
}

// Succeed takes over from the machine of the session before a change of user what that does not change on the connection: the
// option that COM_SET_OPTION set.
func (c *Core) Succeed(before *Core) { c.ledger.option = before.ledger.option }

// Login takes the OK packet payload of the server's login answer, learns from it, and gives the payload to forward. The variables that
// MariaDB 11.8 names in it are no choice of the session: every login gets them.
func (c *Core) Login(payload []byte) ([]byte, error) {
	pkt := wire.AppendPacket(make([]byte, 0, len(payload)+wire.HeaderSize), 0, payload)
	o, err := wire.ParseOK(pkt[wire.HeaderSize:])
	if err != nil {
		return nil, err
	}
	pins := c.ledger.pins
	c.learnOK(&o)
	c.ledger.variables, c.ledger.waitTimeout, c.ledger.pins = nil, 0, pins
	c.saw = observed{}
	if c.strip {
		pkt = o.Strip(pkt)
	} else if bytes.Contains(o.Track, []byte("redirect_url")) {
		pkt = o.Keep(pkt, func(e wire.TrackEntry) bool { return !redirects(e) })
	}
	return pkt[wire.HeaderSize:], nil
}

// Busy reports whether the session is inside something that ties it to its server for a while and that a drain waits
// for: a transaction or LOCK TABLES.
func (c *Core) Busy() bool {
	return c.ledger.status&(wire.StatusInTrans|wire.StatusInTransReadonly) != 0 || c.ledger.lock || c.ledger.unsure
}

// InTransaction reports whether a transaction is open, so that losing the server connection rolls back what was done.
func (c *Core) InTransaction() bool {
	return c.ledger.status&(wire.StatusInTrans|wire.StatusInTransReadonly) != 0
}

// Autocommit reports whether the session is in autocommit mode, so that a single read opens no transaction.
func (c *Core) Autocommit() bool { return c.ledger.status.Has(wire.StatusAutocommit) }

// WaitTimeout is how long the server lets the session idle, where the client has set that itself; else 0.
func (c *Core) WaitTimeout() time.Duration { return time.Duration(c.ledger.waitTimeout) * time.Second }

// Pins are the reasons why the session cannot be rebuilt elsewhere now, Busy apart. While it has a server connection, they
// leave out what Fetch can ask for.
func (c *Core) Pins() Pin {
	p := c.ledger.pins | c.stmts.pins()
	if c.ledger.users.lost {
		p |= PinUserVariable
	}
	if c.ledger.roleUnknown || c.ledger.schema == "" && c.ledger.namesElsewhere() { // a schema cannot be left for none
		p |= PinUnknown
	}
	if !c.attached {
		p |= c.ledger.lost()
	}
	return p
}

// StartsAnew reports whether the command throws away what pins a session. Servers without trackers refuse a reset.
func (c *Core) StartsAnew(cmd Command) bool {
	return cmd.Code == wire.ComResetConnection && c.tracking || cmd.Code == wire.ComChangeUser
}

// Discard forgets the state that COM_RESET_CONNECTION or COM_CHANGE_USER is about to undo, for a session that cannot take it to
// the server where the command will be run. It reports whether the session can go there now.
func (c *Core) Discard() bool {
	c.ledger.clear()
	c.stmts.clear()
	return c.Pins() == 0
}

// ChangeRefused says that MariaDB has refused a change of user: it has reset the connection, with the character sets of the
// server instead of those of the login, and leaves it to the user that it had (10.11). Attach is to follow, on the same server
// connection.
func (c *Core) ChangeRefused() {
	c.ledger.clear()
	c.stmts.clear()
	c.asked = trackers{}
	for _, name := range []string{"character_set_client", "character_set_results", "collation_connection"} {
		c.ledger.variables = append(c.ledger.variables, variable{name: name, value: "DEFAULT", raw: true})
	}
	if c.ledger.multibyte != sqlclass.ASCIISafe { // how the server reads texts now is not known
		c.ledger.pins |= PinUnknown
	}
}

// Schema is the session's default schema, "" for none.
func (c *Core) Schema() string { return c.ledger.schema }

// Started reports whether the client has seen part of the response under way.
func (c *Core) Started() bool { return c.tracker.Started() }

// Failed reports whether the command under way, or the last one, was answered with an error.
func (c *Core) Failed() bool { return c.saw.failed }

// Current is the command under way, or the last one.
func (c *Core) Current() Command { return c.cmd }

// Peek looks at the client's bytes. It returns the command at their front, or with need > 0 how many bytes must be at
// hand before it can tell (more than are there). The command is not consumed.
func (c *Core) Peek(buf []byte) (cmd Command, need int, err error) {
	if len(buf) < wire.HeaderSize {
		return cmd, wire.HeaderSize + 1, nil
	}
	if buf[3] != 0 {
		return cmd, 0, fmt.Errorf("%w: command with sequence number %d", ErrProtocol, buf[3])
	}
	if wire.PayloadLen(buf) == 0 { // servers take it for COM_SLEEP, which they refuse
		cmd.Code = wire.ComSleep
		c.cmd = cmd
		return cmd, 0, nil
	}
	if len(buf) < wire.HeaderSize+1 {
		return cmd, wire.HeaderSize + 1, nil
	}
	size := wire.HeaderSize + wire.PayloadLen(buf)
	cmd.Code = buf[wire.HeaderSize]
	need = min(size, c.wanted(cmd.Code, buf))
	if len(buf) < need {
		return cmd, need, nil
	}
	pkt := buf[:min(size, len(buf))]
	if err := c.classify(&cmd, pkt, len(pkt) == size && size < wire.HeaderSize+wire.MaxPayload); err != nil {
		return cmd, 0, err
	}
	c.cmd = cmd
	return cmd, 0, nil
}

// wanted is how many bytes of a command (header included) must be seen before it can be handled.
func (c *Core) wanted(code byte, buf []byte) int {
	switch code {
	case wire.ComQuery, wire.ComStmtPrepare, wire.ComInitDB:
		return MaxInspect
	case wire.ComChangeUser:
		return wire.MaxLoginPacket
	case wire.ComStmtExecute:
		if len(buf) < wire.HeaderSize+10 {
			return wire.HeaderSize + 10
		}
		if st := c.stmts.find(getID(buf)); st != nil && st.verb == sqlclass.Kill {
			return wire.HeaderSize + maxKillExecute
		} else if st != nil {
			return executeTypes(buf, st, c.config.Client.Has(wire.ClientQueryAttributes)).need
		}
		return wire.HeaderSize + 10
	case wire.ComStmtBulkExecute:
		if st := c.findIn(buf); st != nil {
			return wire.HeaderSize + 7 + 2*int(st.params)
		}
		return wire.HeaderSize + 7
	case wire.ComStmtSendLongData:
		if size := wire.HeaderSize + wire.PayloadLen(buf); size <= maxLongData {
			return size
		}
		return wire.HeaderSize + 5
	case wire.ComStmtFetch, wire.ComStmtReset, wire.ComStmtClose, wire.ComProcessKill:
		return wire.HeaderSize + 5
	case wire.ComSetOption:
		return wire.HeaderSize + 3
	default:
		return wire.HeaderSize + 1
	}
}

// findIn gives the statement that a command packet names, nil if there is none.
func (c *Core) findIn(pkt []byte) *statement {
	if len(pkt) < wire.HeaderSize+5 {
		return nil
	}
	return c.stmts.find(getID(pkt))
}

func (c *Core) classify(cmd *Command, pkt []byte, whole bool) error {
	switch cmd.Code {
	case wire.ComQuery, wire.ComStmtPrepare:
		text, ok := c.text(pkt)
		if !ok {
			return fmt.Errorf("%w: query attributes", ErrProtocol)
		}
		cmd.Statement = sqlclass.Classify(text, c.lexing())
		if !whole {
			cmd.Statement = cut(cmd.Statement)
		}
		cmd.ReadOnly = cmd.Statement.ReadOnly || cmd.Code == wire.ComStmtPrepare
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		if st := c.findIn(pkt); st != nil {
			cmd.Statement = sqlclass.Statement{Effects: st.effects, ReadOnly: st.readOnly, Verb: st.verb}
			cmd.ReadOnly = st.readOnly
		}
	case wire.ComStmtClose, wire.ComStmtReset, wire.ComStmtSendLongData:
		if len(pkt) < wire.HeaderSize+5 {
			return fmt.Errorf("%w: %s without an id", ErrProtocol, wire.CommandName(cmd.Code))
		}
		cmd.ReadOnly = true
		st := c.findIn(pkt)
		cmd.Local = st != nil && !c.known(st) && cmd.Code != wire.ComStmtSendLongData && wire.PayloadLen(pkt) == 5
	case wire.ComQuit, wire.ComInitDB, wire.ComFieldList, wire.ComPing, wire.ComStatistics, wire.ComStmtFetch,
		wire.ComSetOption, wire.ComResetConnection, wire.ComChangeUser, wire.ComProcessInfo:
		cmd.ReadOnly = true
	}
	return nil
}

// known reports whether the server connection of now has st prepared.
func (c *Core) known(st *statement) bool { return c.attached && st.generation == c.generation }

// text is the SQL text in a COM_QUERY or COM_STMT_PREPARE packet (header included).
func (c *Core) text(pkt []byte) ([]byte, bool) {
	body := pkt[wire.HeaderSize+1:]
	if pkt[wire.HeaderSize] != wire.ComQuery || !c.config.Client.Has(wire.ClientQueryAttributes) {
		return body, true
	}
	return wire.SkipQueryAttributes(body)
}

func (c *Core) lexing() sqlclass.Options {
	return sqlclass.Options{
		NoBackslashEscapes: c.ledger.status.Has(wire.StatusNoBackslashEscapes), Multibyte: c.ledger.multibyte,
	}
}

// Answer gives the response to a command for which Peek set Local: a statement is closed or reset that the server
// connection of now does not know. The command is consumed: n bytes of buf.
func (c *Core) Answer(buf []byte) (toClient []byte, n int) {
	st := c.findIn(buf)
	n = wire.HeaderSize + wire.PayloadLen(buf)
	if c.cmd.Code == wire.ComStmtClose {
		c.stmts.remove(st)
		return nil, n
	}
	c.stmts.setCursor(st, false)
	c.stmts.dropLong(st)
	const lasting = wire.StatusInTrans | wire.StatusAutocommit | wire.StatusNoBackslashEscapes | wire.StatusInTransReadonly | wire.StatusAnsiQuotes
	s := c.ledger.status & lasting // the others tell of one statement
	return append(c.scratch[:0], 7, 0, 0, 1, wire.HeaderOK, 0, 0, byte(s), byte(s>>8), 0, 0), n
}

// NeedsPrepare gives the bytes that prepare the statement of the command in buf on the present server connection,
// nil if it is known there. They are a prelude: its response is for Prelude, not for Server.
func (c *Core) NeedsPrepare(buf []byte) []byte {
	switch c.cmd.Code {
	case wire.ComStmtExecute, wire.ComStmtBulkExecute, wire.ComStmtSendLongData, wire.ComStmtFetch, wire.ComStmtReset:
	default:
		return nil
	}
	st := c.findIn(buf)
	if st == nil || c.known(st) || len(st.text) == 0 {
		return nil
	}
	return c.prepareAgain(st)
}

// Begin starts the command in buf: it consumes n bytes of it and gives the bytes for the server. When Streaming is
// true afterwards, the rest of the command is to be passed through More.
func (c *Core) Begin(buf []byte) (toServer []byte, n int) {
	size := wire.PayloadLen(buf)
	n = min(len(buf), wire.HeaderSize+size)
	c.pass = wire.HeaderSize + size - n
	c.cont = size == wire.MaxPayload
	c.cmd.Seq = buf[3]
	c.saw, c.effects, c.stmt, c.capture = observed{}, c.cmd.Statement.Effects, nil, nil
	c.conditional = false
	c.ledger.command++
	c.charsets, c.lexed = c.ledger.charsets, c.lexing()
	c.tracker.Begin(c.cmd.Code)
	pkt := buf[:n]
	if c.cursor = asksCursor(c.cmd.Code, pkt); c.cursor {
		c.tracker.AskCursor()
	}
	switch c.cmd.Code {
	case wire.ComQuery:
		if c.Streaming() && !harmlessWhenCut(c.cmd.Statement) {
			c.ledger.pins |= PinUninspected
		}
		c.note(pkt)
		c.ledger.users.lost = c.ledger.users.lost || c.Streaming() && c.effects.Has(sqlclass.UserVariable)
		pkt = c.retargeted(pkt)
	case wire.ComProcessKill:
		pkt = c.retargeted(pkt)
	case wire.ComStmtPrepare:
		c.beginPrepare(pkt)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		pkt = c.beginExecute(pkt)
	case wire.ComStmtFetch, wire.ComStmtReset, wire.ComStmtSendLongData, wire.ComStmtClose:
		pkt = c.beginStatement(pkt)
	case wire.ComBinlogDump, wire.ComBinlogDumpGTID, wire.ComTableDump, wire.ComRegisterSlave:
		c.ledger.pins |= PinReplication
	case wire.ComInitDB:
		c.scratch = append(c.scratch[:0], pkt[wire.HeaderSize+1:]...)
	case wire.ComSetOption:
		if len(pkt) > wire.HeaderSize+1 {
			c.ledger.option = int8(pkt[wire.HeaderSize+1])
		}
	default:
		if !wire.KnownCommand(c.cmd.Code) {
			c.ledger.pins |= PinCommand
		}
	}
	return pkt, n
}

// Skip consumes the first n bytes of a command that its driver answers with an error; nothing is learned from it.
// When Streaming is true afterwards, the rest of it goes through More.
func (c *Core) Skip(buf []byte) (n int) {
	size := wire.PayloadLen(buf)
	n = min(len(buf), wire.HeaderSize+size)
	c.pass = wire.HeaderSize + size - n
	c.cont = size == wire.MaxPayload
	c.cmd.Seq = buf[3]
	c.capture, c.stmt = nil, nil
	return n
}

// cut gives s, of which the beginning was seen only.
func cut(s sqlclass.Statement) sqlclass.Statement {
	s.ReadOnly = false
	switch {
	case !harmlessWhenCut(s):
		s.Effects |= sqlclass.Unclear
	case s.Open: // within a value, most likely
		s.Effects &^= sqlclass.Unclear
	}
	return s
}

// harmlessWhenCut: of statements too long to be inspected whole, plain data changes are taken to be what they seem.
func harmlessWhenCut(s sqlclass.Statement) bool {
	switch s.Verb {
	case sqlclass.Insert, sqlclass.Replace, sqlclass.Update, sqlclass.Delete, sqlclass.LoadData:
		return true
	default:
		return false
	}
}

// Streaming reports whether more of the command under way is to come from the client.
func (c *Core) Streaming() bool { return c.pass > 0 || c.cont }

// More passes through further bytes of a long command: the first n bytes of buf belong to it.
func (c *Core) More(buf []byte) (n int) {
	for c.Streaming() {
		if c.pass > 0 {
			m := min(c.pass, len(buf)-n)
			n += m
			if c.pass -= m; c.pass > 0 {
				break
			}
			continue
		}
		if len(buf)-n < wire.HeaderSize {
			break
		}
		size := wire.PayloadLen(buf[n:])
		c.cmd.Seq = buf[n+3]
		c.cont = size == wire.MaxPayload
		c.pass = size
		n += wire.HeaderSize
	}
	if c.capture != nil && !c.stmts.keepText(c.capture, buf[:n]) {
		c.capture = nil
	}
	return n
}

// Infile passes through the client's part of LOAD DATA LOCAL INFILE: the first n bytes of buf belong to it, and done
// tells that its empty last packet is among them.
func (c *Core) Infile(buf []byte) (n int, done bool) {
	for {
		m := min(c.pass, len(buf)-n)
		n += m
		if c.pass -= m; c.pass > 0 || len(buf)-n < wire.HeaderSize {
			return n, false
		}
		last := !c.cont // or the empty packet behind one of the maximal length
		c.pass = wire.PayloadLen(buf[n:])
		c.cont = c.pass == wire.MaxPayload
		n += wire.HeaderSize
		if c.pass == 0 && last {
			c.tracker.AfterInfile()
			return n, true
		}
	}
}
