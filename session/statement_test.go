package session

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

var longType = []byte{3, 0}

// again prepares a statement on the present server connection under a new id.
func (r *rig) again(command []byte, id uint32, columns, params byte) {
	r.t.Helper()
	buf := bytes.Clone(command)
	if _, need, err := r.core.Peek(buf); need != 0 || err != nil {
		r.t.Fatalf("need %d, %v", need, err)
	}
	b := r.core.NeedsPrepare(buf)
	if b == nil {
		r.t.Fatal("the new server is said to know the statement")
	}
	if n, done, err := r.core.Prelude(prepared(id, columns, params)); err != nil || !done || n == 0 {
		r.t.Fatalf("%d, %v, %v", n, done, err)
	}
}

func TestStatementSurvivesMove(t *testing.T) {
	r := trackedRig(t)
	id := r.prepare("SELECT ?", 7, 1, 1)
	row := append(append(packet(1, 1), packet(2, 3, 'd', 'e', 'f')...), append(packet(3, 0, 0, 1), packet(4, 0xFE, 0, 0, 2, 0, 0, 0)...)...)
	sent, got := r.run(execute(id, longType, 5, 0, 0, 0), row)
	if !bytes.Equal(sent, execute(7, longType, 5, 0, 0, 0)) || !bytes.Equal(got, row) {
		t.Fatalf("sent %x, got %x", sent, got)
	}
	r.core.Detach()
	r.attach()
	command := execute(id, nil, 6, 0, 0, 0)
	r.again(command, 3, 1, 1)
	if sent, _ = r.run(command, row); !bytes.Equal(sent, execute(3, longType, 6, 0, 0, 0)) {
		t.Errorf("first execution on the new server: %x", sent)
	}
	if sent, _ = r.run(command, row); !bytes.Equal(sent, execute(3, nil, 6, 0, 0, 0)) {
		t.Errorf("second execution on the new server: %x", sent)
	}
	if sent, _ = r.run(statementCommand(wire.ComStmtClose, id), nil); !bytes.Equal(sent, statementCommand(wire.ComStmtClose, 3)) {
		t.Errorf("close: %x", sent)
	}
}

func TestNewStatementGetsFreeID(t *testing.T) {
	r := trackedRig(t)
	first := r.prepare("SELECT 1", 1, 1, 0)
	r.core.Detach()
	r.attach()
	second := r.prepare("SELECT 2", 1, 1, 0) // the new server begins at 1 again
	if second == first {
		t.Fatal("two statements have one id")
	}
	sent, _ := r.run(statementCommand(wire.ComStmtReset, second), okay(2))
	if getID(sent) != 1 {
		t.Errorf("reset of %d goes to %d", second, getID(sent))
	}
}

func TestStrayIDHitsNoOtherStatement(t *testing.T) {
	r := trackedRig(t)
	r.prepare("SELECT 1", 1, 1, 0)
	id := r.prepare("SELECT 2", 2, 1, 0)
	r.core.Detach()
	r.attach()
	r.again(execute(id, nil), 5, 1, 0) // client's 2 is 5 now
	for _, code := range []byte{wire.ComStmtClose, wire.ComStmtReset, wire.ComStmtExecute} {
		command := statementCommand(code, 5, 0, 1, 0, 0, 0)
		if code != wire.ComStmtExecute {
			command = statementCommand(code, 5)
		}
		buf := bytes.Clone(command)
		if _, _, err := r.core.Peek(buf); err != nil {
			t.Fatal(err)
		}
		if sent, _ := r.core.Begin(buf); getID(sent) == 5 {
			t.Errorf("%s for an id that the client does not have hits another statement", wire.CommandName(code))
		}
	}
}

func TestUnknownIDsPassUnchanged(t *testing.T) {
	r := trackedRig(t)
	r.prepare("SELECT 1", 1, 1, 0)
	if sent, _ := r.run(statementCommand(wire.ComStmtReset, 99), refusal(1243)); getID(sent) != 99 {
		t.Errorf("id %d", getID(sent))
	}
}

func TestClosedElsewhereIsAnsweredLocally(t *testing.T) {
	r := trackedRig(t)
	id := r.prepare("SELECT 1", 1, 1, 0)
	r.core.Detach()
	reset := statementCommand(wire.ComStmtReset, id)
	if cmd, _, err := r.core.Peek(reset); err != nil || !cmd.Local {
		t.Fatalf("%+v, %v", cmd, err)
	}
	if out, n := r.core.Answer(reset); n != len(reset) || !bytes.Equal(out, okay(wire.StatusAutocommit)) {
		t.Errorf("%x, %d", out, n)
	}
	closing := statementCommand(wire.ComStmtClose, id)
	if cmd, _, err := r.core.Peek(closing); err != nil || !cmd.Local {
		t.Fatalf("%+v, %v", cmd, err)
	}
	if out, n := r.core.Answer(closing); n != len(closing) || out != nil {
		t.Errorf("%x, %d", out, n)
	}
	if r.core.stmts.find(id) != nil {
		t.Error("still there")
	}
}

func TestStatementOfAnAlteredTable(t *testing.T) {
	r := trackedRig(t)
	id := r.prepare("SELECT * FROM t", 1, 2, 0)
	again := func(answer []byte) error {
		r.core.Detach()
		r.attach()
		command := execute(id, nil)
		if _, _, err := r.core.Peek(command); err != nil {
			t.Fatal(err)
		}
		r.core.NeedsPrepare(command)
		_, _, err := r.core.Prelude(answer)
		return err
	}
	if err := again(prepared(1, 3, 0)); err != nil {
		t.Errorf("another column, which executions tell of: %v", err)
	}
	if err := again(refusal(1146)); err != nil || r.core.Refusal() == nil || r.core.Refusal().Code != 1146 {
		t.Errorf("a table that is gone: %v, %v", err, r.core.Refusal())
	}
	err := again(prepared(1, 3, 1))
	if refused := (*RefusedError)(nil); !errors.As(err, &refused) || r.core.Refusal() != nil {
		t.Errorf("another number of parameters: %v", err)
	}
}

// A statement is prepared again in the schema and under the settings of its first time.
func TestStatementIsPreparedAgainInItsContext(t *testing.T) {
	r := newRig(t, Config{Flavor: MariaDB, Client: clientCaps, Server: serverCaps, Schema: "app", Collation: 45})
	id := r.prepare("SELECT * FROM t", 1, 1, 0)
	r.sql("SET sql_mode='ANSI'", auto, setVar("sql_mode", "ANSI")...)
	r.sql("USE other", auto, change(wire.TrackSchema, str("other")...)...)
	r.sql("PREPARE p FROM 'SELECT 1'", auto, stateChanged...)
	r.sql("SET NAMES latin1 COLLATE latin1_bin", auto, setVar("character_set_client", "latin1")...)
	r.core.Detach()
	want := []string{
		"SET SESSION sql_mode='ANSI',NAMES latin1 COLLATE latin1_bin", "SET SESSION sql_mode='ANSI',NAMES utf8mb4", "PREPARE p FROM 'SELECT 1'",
		"SET SESSION sql_mode='ANSI',NAMES latin1 COLLATE latin1_bin",
	}
	if got := r.attach()[1:]; !slices.Equal(got, want) {
		t.Errorf("rebuilt with %q, want %q", got, want)
	}
	command := execute(id, nil)
	if _, _, err := r.core.Peek(command); err != nil {
		t.Fatal(err)
	}
	want = []string{
		"\x03SET SESSION sql_mode=DEFAULT,NAMES utf8mb4", "\x02app", "\x16SELECT * FROM t",
		"\x03SET SESSION sql_mode='ANSI',NAMES latin1 COLLATE latin1_bin", "\x02other",
	}
	var got []string
	for _, p := range packets(t, r.core.NeedsPrepare(command)) {
		got = append(got, string(p))
	}
	if !slices.Equal(got, want) {
		t.Errorf("prepared again with %q, want %q", got, want)
	}
}

// Long data is sent again to the server that the statement is executed on.
func TestLongDataMoves(t *testing.T) {
	r := trackedRig(t)
	id := r.prepare("SELECT ?", 7, 1, 1)
	r.run(statementCommand(wire.ComStmtSendLongData, id, 0, 0, 'a'), nil)
	again := func(command []byte, serverID byte) {
		t.Helper()
		if _, _, err := r.core.Peek(command); err != nil {
			t.Fatal(err)
		}
		if r.core.NeedsPrepare(command) == nil {
			t.Fatal("not prepared again")
		}
		if _, done, err := r.core.Prelude(prepared(uint32(serverID), 1, 1)); !done || err != nil {
			t.Fatal(done, err)
		}
	}
	r.core.Detach()
	r.wantPins(0)
	r.attach()
	long := statementCommand(wire.ComStmtSendLongData, id, 0, 0, 'b')
	again(long, 1)
	sent, _ := r.run(long, nil)
	want := append(statementCommand(wire.ComStmtSendLongData, 1, 0, 0, 'a'), statementCommand(wire.ComStmtSendLongData, 1, 0, 0, 'b')...)
	if !bytes.Equal(sent, want) {
		t.Errorf("sent %x, want %x", sent, want)
	}
	r.core.Detach()
	r.attach()
	command := execute(id, longType)
	again(command, 2)
	sent, _ = r.run(command, okay(auto))
	want = append(statementCommand(wire.ComStmtSendLongData, 2, 0, 0, 'a'), statementCommand(wire.ComStmtSendLongData, 2, 0, 0, 'b')...)
	if want = append(want, execute(2, longType)...); !bytes.Equal(sent, want) {
		t.Errorf("sent %x, want %x", sent, want)
	}
	if sent, _ = r.run(execute(id, longType), okay(auto)); !bytes.Equal(sent, execute(2, longType)) {
		t.Errorf("the data is used twice: %x", sent)
	}
	r.run(statementCommand(wire.ComStmtSendLongData, id, 0, 0, 'c'), nil)
	r.run(statementCommand(wire.ComStmtReset, id), okay(auto))
	r.run(statementCommand(wire.ComStmtSendLongData, id, 0, 0, 'd'), nil)
	r.run(statementCommand(wire.ComStmtClose, id), nil)
	if n := r.core.stmts.longBytes; n != 0 {
		t.Errorf("%d bytes are kept for nothing", n)
	}
}

func TestCursorAndLongDataPin(t *testing.T) {
	r := trackedRig(t)
	id := r.prepare("SELECT ?", 1, 1, 1)
	r.run(statementCommand(wire.ComStmtSendLongData, id, append([]byte{0, 0}, make([]byte, maxLongData/2)...)...), nil)
	r.wantPins(0)
	r.run(statementCommand(wire.ComStmtSendLongData, id, append([]byte{0, 0}, make([]byte, maxLongData/2)...)...), nil)
	r.wantPins(PinLongData)
	cursor := wire.StatusCursorExists | wire.StatusAutocommit
	open := append(append(packet(1, 1), packet(2, 3, 'd', 'e', 'f')...), packet(3, 0xFE, 0, 0, byte(cursor), 0, 0, 0)...)
	asking := execute(id, longType, 1, 0, 0, 0)
	asking[wire.HeaderSize+5] = 1 // CURSOR_TYPE_READ_ONLY
	r.run(execute(id, longType, 1, 0, 0, 0), open)
	r.wantPins(0) // it is a cursor of some routine that is over
	r.run(asking, open)
	r.wantPins(PinCursor)
	fetch := statementCommand(wire.ComStmtFetch, id, 1, 0, 0, 0)
	r.run(fetch, append(packet(1, 0, 0, 1), packet(2, 0xFE, 0, 0, byte(cursor), 0, 0, 0)...))
	r.wantPins(PinCursor)
	last := wire.StatusLastRowSent
	r.run(fetch, packet(1, 0xFE, 0, 0, byte(last), 0, 0, 0))
	r.wantPins(0)
	r.run(asking, open)
	r.wantPins(PinCursor)
	r.run(statementCommand(wire.ComStmtReset, id), okay(2))
	r.wantPins(0)
	r.run(asking, open)
	r.run(statementCommand(wire.ComStmtClose, id), nil)
	r.wantPins(0)
}

func TestExecuteWithQueryAttributes(t *testing.T) {
	c := Config{Flavor: MySQL, Client: clientCaps | wire.ClientQueryAttributes, Server: serverCaps | wire.ClientQueryAttributes}
	r := newRig(t, c)
	id := r.prepare("SELECT ?", 1, 1, 1)
	row := append(append(packet(1, 1), packet(2, 3, 'd', 'e', 'f')...), packet(3, 0xFE, 0, 0, 2, 0, 0, 0)...)
	named := func(id uint32, types ...byte) []byte { // one parameter, no attribute
		body := []byte{8, 1, 0, 0, 0, 1, 0} // flags with PARAMETER_COUNT_AVAILABLE, iterations, count, null bitmap
		if types == nil {
			body = append(body, 0)
		} else {
			body = append(append(body, 1), types...)
		}
		return statementCommand(wire.ComStmtExecute, id, append(body, 5, 0, 0, 0)...)
	}
	types := []byte{3, 0, 0} // LONG, empty name
	r.run(named(id, types...), row)
	r.core.Detach()
	r.attach()
	command := named(id)
	r.again(command, 9, 1, 1)
	if sent, _ := r.run(command, row); !bytes.Equal(sent, named(9, types...)) {
		t.Errorf("sent %x, want %x", sent, named(9, types...))
	}
}

func TestExecuteTypesWantsWholeNames(t *testing.T) {
	st := &statement{params: 1}
	name := bytes.Repeat([]byte{'n'}, 600)
	body := append([]byte{8, 1, 0, 0, 0, 1, 0, 1, 3, 0}, wire.AppendLenEncBytes(nil, name)...)
	pkt := statementCommand(wire.ComStmtExecute, 1, append(body, 5, 0, 0, 0)...)
	end := len(pkt) - 4
	for have := range end {
		if got := executeTypes(pkt[:have], st, true); got.ok || got.need <= have {
			t.Fatalf("with %d of %d bytes: %+v", have, end, got)
		}
	}
	if got := executeTypes(pkt, st, true); !got.ok || got.end != end {
		t.Errorf("%+v, want the end at %d", got, end)
	}
}

func TestBulkTypesAreSplicedIn(t *testing.T) {
	r := trackedRig(t)
	id := r.prepare("INSERT INTO t VALUES (?)", 1, 0, 1)
	with := func(id uint32) []byte {
		return statementCommand(wire.ComStmtBulkExecute, id, 128, 0, 3, 0, 0, 1, 0, 0, 0)
	}
	without := statementCommand(wire.ComStmtBulkExecute, id, 0, 0, 0, 1, 0, 0, 0)
	r.run(with(id), okay(2))
	r.core.Detach()
	r.attach()
	r.again(without, 4, 0, 1)
	if sent, _ := r.run(without, okay(2)); !bytes.Equal(sent, with(4)) {
		t.Errorf("sent %x, want %x", sent, with(4))
	}
}

// Types that have no room in a packet of 16 MiB are not announced, and go with the next execution.
func TestTypesWithoutRoom(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(id uint32) []byte
		bare func(id uint32) []byte
	}{
		{"execute", func(id uint32) []byte { return execute(id, longType, 1, 0, 0, 0) }, func(id uint32) []byte { return execute(id, nil, 1, 0, 0, 0) }},
		{"bulk",
			func(id uint32) []byte {
				return statementCommand(wire.ComStmtBulkExecute, id, 128, 0, 3, 0, 0, 1, 0, 0, 0)
			},
			func(id uint32) []byte { return statementCommand(wire.ComStmtBulkExecute, id, 0, 0, 0, 1, 0, 0, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := trackedRig(t)
			id := r.prepare("INSERT INTO t VALUES (?)", 1, 0, 1)
			r.run(c.with(id), okay(2))
			r.core.Detach()
			r.attach()
			r.again(c.bare(id), 4, 0, 1)
			long := bytes.Clone(c.bare(id))
			wire.PutHeader(long, wire.MaxPayload, 0)
			if _, need, err := r.core.Peek(long); need != 0 || err != nil {
				t.Fatal(need, err)
			}
			want := bytes.Clone(long)
			putID(want, 4)
			if sent, _ := r.core.Begin(long); !bytes.Equal(sent, want) {
				t.Errorf("sent %x, want %x", sent, want)
			}
			r.core.More(append(make([]byte, wire.MaxPayload+wire.HeaderSize-len(long)), 0, 0, 0, 1))
			if r.core.Streaming() {
				t.Fatal("the command has no end")
			}
			r.answer(refusal(1210))
			if sent, _ := r.run(c.bare(id), okay(2)); !bytes.Equal(sent, c.with(4)) {
				t.Errorf("sent %x, want %x", sent, c.with(4))
			}
		})
	}
}
