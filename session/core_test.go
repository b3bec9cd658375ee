package session

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// TestAnswersSplitAnywhere feeds each answer split at every byte; the client must see the same, stripped of the state.
func TestAnswersSplitAnywhere(t *testing.T) {
	schema := change(wire.TrackSchema, str("other")...)
	more := auto | wire.StatusMoreResults
	def := packet(2, 3, 'd', 'e', 'f')
	end := func(s wire.Status, track ...byte) []byte {
		b := okay(s, track...)
		b[3], b[4] = 4, wire.HeaderEOF
		return b
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	set := join(packet(1, 1), def, packet(3, 1, 'x'))
	for i, c := range []struct{ command, answer, want []byte }{
		{query("USE other"), okay(auto, schema...), okay(auto)},
		{query("SELECT x"), join(set, end(auto)), join(set, end(auto))},
		{query("SELECT x"), join(set, end(auto, schema...)), join(set, end(auto))},
		{query("CALL p()"), join(set, end(more, schema...), set, end(more), okay(auto, schema...)), join(set, end(more), set, end(more), okay(auto))},
		{query("SELECT y"), refusal(1054), refusal(1054)},
		{packet(0, wire.ComPing), okay(auto), okay(auto)},
		{packet(0, append([]byte{wire.ComStmtPrepare}, "SELECT ?"...)...), prepared(1, 1, 1), prepared(1, 1, 1)},
		{packet(0, wire.ComStatistics), packet(1, 'U', 'p'), packet(1, 'U', 'p')},
	} {
		for split := range len(c.answer) {
			r := trackedRig(t)
			r.split = split
			sent, got := r.run(c.command, c.answer)
			if !bytes.Equal(sent, c.command) || !bytes.Equal(got, c.want) {
				t.Fatalf("case %d split at %d:\n got %x\nwant %x", i, split, got, c.want)
			}
		}
	}
}

func TestStateFlagIsCutFromEOF(t *testing.T) {
	const caps = wire.ClientProtocol41
	r := newRig(t, Config{Client: caps, Server: caps | wire.ClientSessionTrack})
	def := packet(2, 3, 'd', 'e', 'f')
	eof := func(s wire.Status) []byte { return packet(3, 0xFE, 0, 0, byte(s), byte(s>>8)) }
	changed := auto | wire.StatusSessionStateChanged
	_, got := r.run(query("CALL p()"), bytes.Join([][]byte{packet(1, 1), def, eof(auto), eof(changed)}, nil))
	if want := bytes.Join([][]byte{packet(1, 1), def, eof(auto), eof(auto)}, nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	r.wantPins(PinRoutine)
}

func TestPeekWantsWholeCommands(t *testing.T) {
	r := trackedRig(t)
	id := r.prepare("SELECT ?", 1, 1, 1)
	for _, c := range [][]byte{
		query("SELECT 1"), execute(id, longType, 1, 0, 0, 0), execute(id, nil, 1, 0, 0, 0), packet(0, wire.ComPing),
		statementCommand(wire.ComStmtClose, id), statementCommand(wire.ComStmtBulkExecute, id, 128, 0, 3, 0, 0, 1, 0, 0, 0),
		packet(0, append([]byte{wire.ComInitDB}, "app"...)...), packet(0, wire.ComSetOption, 0, 0),
	} {
		told := false
		for have := range len(c) + 1 {
			cmd, need, err := r.core.Peek(c[:have])
			if err != nil {
				t.Fatalf("%x cut at %d: %v", c, have, err)
			}
			if need == 0 {
				told = true
				if cmd.Code != c[wire.HeaderSize] {
					t.Fatalf("%x: code %x", c, cmd.Code)
				}
				continue
			}
			if told || need <= have || need > len(c) {
				t.Fatalf("%x cut at %d: need %d, told before %v", c, have, need, told)
			}
		}
		if !told {
			t.Errorf("%x: never complete", c)
		}
	}
}

func TestPeekRefusesNonsense(t *testing.T) {
	r := trackedRig(t)
	for name, b := range map[string][]byte{
		"wrong sequence":      {1, 0, 0, 1, wire.ComPing},
		"close without an id": packet(0, wire.ComStmtClose, 1),
	} {
		if _, _, err := r.core.Peek(b); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEmptyCommand: servers answer 1047 and go on.
func TestEmptyCommand(t *testing.T) {
	r := trackedRig(t)
	sent, got := r.run([]byte{0, 0, 0, 0}, refusal(1047))
	if !bytes.Equal(sent, []byte{0, 0, 0, 0}) || !bytes.Equal(got, refusal(1047)) {
		t.Errorf("the server saw %x, the client %x", sent, got)
	}
	r.wantPins(0)
}

// TestUnknownCommand: its answer is read like that of a query, and the session stays where it is.
func TestUnknownCommand(t *testing.T) {
	for _, answer := range [][]byte{refusal(1047), okay(auto), pointSelect()} {
		r := trackedRig(t)
		if _, got := r.run(packet(0, 0xF0, 1, 2, 3), answer); !bytes.Equal(got, answer) {
			t.Errorf("the client saw %x of %x", got, answer)
		}
		r.wantPins(PinCommand)
		r.run(packet(0, wire.ComResetConnection), okay(auto))
		r.wantPins(0)
	}
}

func TestServerNonsenseIsAnError(t *testing.T) {
	for _, b := range [][]byte{{0, 0, 0, 1}, packet(1, 0, 0), packet(1, 0xFC, 0)} {
		r := trackedRig(t)
		command := query("SELECT 1")
		if _, _, err := r.core.Peek(command); err != nil {
			t.Fatal(err)
		}
		r.core.Begin(command)
		if out, _, _, err := r.core.Server(b); !errors.Is(err, ErrProtocol) || len(out) > 0 {
			t.Errorf("%x: %v, %d bytes forwarded", b, err, len(out))
		}
		if r.core.Started() {
			t.Errorf("%x: started", b)
		}
	}
}

// big is a COM_QUERY of size payload bytes in as many packets as it takes.
func big(prefix string, size int) (b []byte) {
	payload := append(append([]byte{wire.ComQuery}, prefix...), bytes.Repeat([]byte{'x'}, size-1-len(prefix))...)
	for seq := byte(0); ; seq++ {
		n := min(len(payload), wire.MaxPayload)
		b = append(b, byte(n), byte(n>>8), byte(n>>16), seq)
		b = append(b, payload[:n]...)
		if payload = payload[n:]; n < wire.MaxPayload {
			return b
		}
	}
}

func TestLongCommandsAreStreamed(t *testing.T) {
	for _, size := range []int{MaxInspect + 1, wire.MaxPayload - 1, wire.MaxPayload, wire.MaxPayload + 9} {
		for _, c := range []struct {
			prefix string
			answer []byte
			want   Pin
		}{
			{"INSERT INTO t VALUES ('", okay(auto), 0},
			{"REPLACE INTO t VALUES (1, _binary '", okay(auto), 0},
			{"INSERT INTO t VALUES ('", okay(auto, stateChanged...), PinUnknown}, // behind what was seen
			{"INSERT INTO t SELECT f('", okay(auto, stateChanged...), PinRoutine},
			{"INSERT INTO t VALUES (1); BEGIN NOT ATOMIC INSERT INTO t VALUES ('", okay(auto), PinUnknown},
			{"SELECT '", okay(auto), PinUninspected | PinUnknown},
		} {
			for _, skip := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d %s skip=%v", size, c.prefix, skip), func(t *testing.T) {
					b := big(c.prefix, size)
					packets := byte(size / wire.MaxPayload)
					r := trackedRig(t)
					if _, need, err := r.core.Peek(b[:1000]); need != MaxInspect || err != nil {
						t.Fatalf("need %d, %v", need, err)
					}
					if cmd, need, err := r.core.Peek(b[:MaxInspect]); need != 0 || err != nil || cmd.ReadOnly {
						t.Fatalf("need %d, read only %v, %v", need, cmd.ReadOnly, err)
					}
					at := stream(t, r.core, b, skip)
					if at != len(b) || r.core.Current().Seq != packets {
						t.Errorf("used %d of %d bytes, sequence number %d", at, len(b), r.core.Current().Seq)
					}
					if skip {
						r.wantPins(0)
						return
					}
					r.answer(c.answer)
					r.wantPins(c.want)
				})
			}
		}
	}
}

// A transaction that is lost with an INSERT under way is rolled back, however long that is.
func TestWhatLongStatementsMayCommit(t *testing.T) {
	for prefix, want := range map[string]bool{"INSERT INTO t VALUES ('": false, "INSERT INTO t VALUES (1); SELECT '": true, "SELECT '": true} {
		for _, code := range []byte{wire.ComQuery, wire.ComStmtPrepare} {
			r := trackedRig(t)
			b := big(prefix, MaxInspect+1)
			b[wire.HeaderSize] = code
			cmd, need, err := r.core.Peek(b[:MaxInspect])
			if code == wire.ComStmtPrepare && err == nil {
				stream(t, r.core, b, false)
				command := execute(getID(r.answer(prepared(1, 0, 0))), nil)
				cmd, need, err = r.core.Peek(command)
			}
			if need != 0 || err != nil || cmd.MayCommit() != want {
				t.Errorf("%s..., command %d: may commit %v, want %v (need %d, %v)", prefix, code, cmd.MayCommit(), want, need, err)
			}
		}
	}
}

// stream passes a command through in pieces of odd size.
func stream(t testing.TB, c *Core, b []byte, skip bool) int {
	t.Helper()
	at := 0
	if skip {
		at = c.Skip(b[:MaxInspect])
	} else {
		_, at = c.Begin(b[:MaxInspect])
	}
	for end := at; c.Streaming(); {
		if end == len(b) && at == end {
			t.Fatal("the command has no end")
		}
		end = min(end+65_521, len(b))
		at += c.More(b[at:end])
	}
	return at
}

func TestLongPrepareIsKeptWhole(t *testing.T) {
	b := big("SELECT '", MaxInspect+20)
	b[wire.HeaderSize] = wire.ComStmtPrepare
	r := trackedRig(t)
	id := r.prepareLong(b)
	r.wantPins(0)
	r.core.Detach()
	r.attach()
	command := execute(id, nil)
	if _, _, err := r.core.Peek(command); err != nil {
		t.Fatal(err)
	}
	if got := r.core.NeedsPrepare(command); !bytes.Equal(got, b) {
		t.Errorf("%d bytes are sent again, want %d", len(got), len(b))
	}
}

// prepareLong prepares a statement of more than MaxInspect bytes.
func (r *rig) prepareLong(b []byte) (clientID uint32) {
	r.t.Helper()
	if _, _, err := r.core.Peek(b[:MaxInspect]); err != nil {
		r.t.Fatal(err)
	}
	if at := stream(r.t, r.core, b, false); at != len(b) {
		r.t.Fatalf("used %d of %d", at, len(b))
	}
	return getID(r.answer(prepared(1, 1, 0)))
}

// Texts of prepared statements that take more than maxTexts together pin the session, and are not kept.
func TestTextsOfPreparedStatementsAreBounded(t *testing.T) {
	r := trackedRig(t)
	huge := big("SELECT '", wire.MaxPayload+20)
	huge[wire.HeaderSize] = wire.ComStmtPrepare
	a := r.prepareLong(huge)
	if st := r.core.stmts.find(a); cap(st.text) != 0 {
		t.Errorf("%d bytes are kept", cap(st.text))
	}
	r.wantPins(PinUninspected)
	half := "SELECT " + strings.Repeat("1", MaxInspect-100)
	var ids []uint32
	for i := range uint32(maxTexts / MaxInspect) {
		ids = append(ids, r.prepare(half, i+2, 1, 0))
	}
	r.run(statementCommand(wire.ComStmtClose, a), nil)
	r.wantPins(0)
	b := r.prepare(half, 100, 1, 0)
	r.wantPins(PinUninspected)
	r.run(statementCommand(wire.ComStmtClose, ids[0]), nil)
	r.wantPins(PinUninspected)
	r.run(statementCommand(wire.ComStmtClose, b), nil)
	r.wantPins(0)
	b = r.prepare(half, 101, 1, 0)
	r.wantPins(0)
	if st := r.core.stmts.find(b); len(st.text) == 0 {
		t.Error("the room of closed statements is not used again")
	}
	r.prepare(half, 102, 1, 0)
	r.run(packet(0, wire.ComResetConnection), okay(auto))
	r.wantPins(0)
}

func TestInfile(t *testing.T) {
	ask := packet(1, append([]byte{wire.HeaderInfile}, "file"...)...)
	file := bytes.Join([][]byte{packet(2, []byte("1,2\n")...), packet(3, []byte("3,4\n")...), {0, 0, 0, 4}}, nil)
	for split := range len(file) {
		r := trackedRig(t)
		command := query("LOAD DATA LOCAL INFILE 'file' INTO TABLE t")
		if _, _, err := r.core.Peek(command); err != nil {
			t.Fatal(err)
		}
		r.core.Begin(command)
		if out, _, next, err := r.core.Server(bytes.Clone(ask)); next != ReadInfile || err != nil || !bytes.Equal(out, ask) {
			t.Fatalf("%v, %v", next, err)
		}
		if !r.core.Started() {
			t.Fatal("an error packet can no longer take the place of the response")
		}
		n, done := r.core.Infile(file[:split])
		if done {
			t.Fatal("done before the end")
		}
		tail := append(bytes.Clone(file[n:]), "next"...)
		if m, done := r.core.Infile(tail); !done || n+m != len(file) {
			t.Fatalf("split at %d: used %d+%d of %d, done %v", split, n, m, len(file), done)
		}
		r.answer(okay(auto))
		r.wantPins(0)
	}
}

// The empty packet behind one of the maximal length belongs to that; the next one ends the file.
func TestInfileOfMaximalPackets(t *testing.T) {
	header := func(n int, seq byte) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16), seq} }
	whole := append(header(wire.MaxPayload, 2), make([]byte, wire.MaxPayload)...)
	for name, file := range map[string][]byte{
		"exact":  bytes.Join([][]byte{whole, header(0, 3), header(0, 4)}, nil),
		"longer": bytes.Join([][]byte{whole, header(1, 3), {'x'}, header(0, 4)}, nil),
		"twice":  bytes.Join([][]byte{whole, whole, header(0, 4), header(0, 5)}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			r := trackedRig(t)
			command := query("LOAD DATA LOCAL INFILE 'file' INTO TABLE t")
			if _, _, err := r.core.Peek(command); err != nil {
				t.Fatal(err)
			}
			r.core.Begin(command)
			if _, _, next, err := r.core.Server(packet(1, append([]byte{wire.HeaderInfile}, "file"...)...)); next != ReadInfile || err != nil {
				t.Fatalf("%v, %v", next, err)
			}
			end := len(file) - wire.HeaderSize
			if n, done := r.core.Infile(file[:end]); n != end || done {
				t.Errorf("used %d of %d before the end, done %v", n, end, done)
			}
			if n, done := r.core.Infile(file[end:]); n != wire.HeaderSize || !done || r.core.Streaming() {
				t.Errorf("used %d of the last packet, done %v", n, done)
			}
		})
	}
}

func TestMayCommit(t *testing.T) {
	for sql, want := range map[string]bool{
		"COMMIT": true, "ROLLBACK": true, "CALL p()": true, "INSERT INTO t VALUES (1); COMMIT": true, "CREATE TABLE x (a INT)": true,
		"BEGIN": true, "INSERT INTO t VALUES (1)": false, "SELECT 1": false, "UPDATE t SET a=1": false,
	} {
		r := trackedRig(t)
		cmd, _, err := r.core.Peek(query(sql))
		if err != nil || cmd.MayCommit() != want {
			t.Errorf("%s: %v, %v", sql, cmd.MayCommit(), err)
		}
	}
}

func TestPreludeSplitAnywhere(t *testing.T) {
	r := trackedRig(t)
	r.sql("SET sql_mode='ANSI'", auto, setVar("sql_mode", "ANSI")...)
	answer := append(okay(auto, stateChanged...), okay(auto, stateChanged...)...)
	for split := range len(answer) {
		r.core.Detach()
		r.core.Attach()
		n, done, err := r.core.Prelude(answer[:split])
		if done || err != nil {
			t.Fatalf("split at %d: done %v, %v", split, done, err)
		}
		if m, done, err := r.core.Prelude(answer[n:]); !done || err != nil || n+m != len(answer) {
			t.Fatalf("split at %d: %d+%d, %v, %v", split, n, m, done, err)
		}
	}
}

func TestPreludeRefused(t *testing.T) {
	r := trackedRig(t)
	r.core.Detach()
	r.core.Attach()
	_, _, err := r.core.Prelude(refusal(1193))
	refused, server := (*RefusedError)(nil), (*wire.ServerError)(nil)
	if !errors.As(err, &refused) || !errors.As(err, &server) || server.Code != 1193 {
		t.Errorf("%v", err)
	}
	if _, _, err := func() (int, bool, error) { r.core.Attach(); return r.core.Prelude(packet(1, wire.HeaderInfile)) }(); !errors.Is(err, ErrProtocol) {
		t.Errorf("%v", err)
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	r := trackedRig(t)
	answer := pointSelect()
	text := query("SELECT c FROM sbtest1 WHERE id=5")
	id := r.prepare("SELECT c FROM sbtest1 WHERE id=?", 1, 1, 1)
	for name, command := range map[string][]byte{
		"text": text, "prepared": execute(id, nil, 1, 0, 0, 0), "prepared with types": execute(id, longType, 1, 0, 0, 0),
	} {
		buf := make([]byte, len(answer))
		if n := testing.AllocsPerRun(200, func() { round(r.core, command, buf, answer) }); n != 0 {
			t.Errorf("%s: %v allocations per round", name, n)
		}
	}
}

func pointSelect() []byte {
	return bytes.Join([][]byte{packet(1, 1), packet(2, 3, 'd', 'e', 'f'), packet(3, 2, 'x', 'y'), packet(4, 0xFE, 0, 0, 2, 0, 0, 0)}, nil)
}

func round(c *Core, command, buf, answer []byte) {
	_, _, _ = c.Peek(command)
	c.Begin(command)
	copy(buf, answer)
	_, _, _, _ = c.Server(buf)
}

func BenchmarkTextPointSelect(b *testing.B) {
	r := trackedRig(b)
	answer := pointSelect()
	buf := make([]byte, len(answer))
	command := query("SELECT c FROM sbtest1 WHERE id=5")
	for b.Loop() {
		round(r.core, command, buf, answer)
	}
}

func BenchmarkPreparedExecute(b *testing.B) {
	r := trackedRig(b)
	answer := pointSelect()
	buf := make([]byte, len(answer))
	command := execute(r.prepare("SELECT ?", 1, 1, 1), nil, 1, 0, 0, 0)
	for b.Loop() {
		round(r.core, command, buf, answer)
	}
}

func BenchmarkServerOK(b *testing.B) {
	r := trackedRig(b)
	command := query("INSERT INTO t VALUES (1)")
	answer := okay(auto)
	_, _, _ = r.core.Peek(command)
	for b.Loop() {
		r.core.Begin(command)
		_, _, _, _ = r.core.Server(answer)
	}
}

func BenchmarkServerRows(b *testing.B) {
	const rows = 1000
	answer := append(packet(1, 1), packet(2, 3, 'd', 'e', 'f')...)
	for range rows {
		answer = append(answer, packet(3, 5, 'h', 'e', 'l', 'l', 'o')...)
	}
	answer = append(answer, packet(4, 0xFE, 0, 0, 2, 0, 0, 0)...)
	r := trackedRig(b)
	command := query("SELECT x")
	_, _, _ = r.core.Peek(command)
	for b.Loop() {
		r.core.Begin(command)
		_, _, _, _ = r.core.Server(answer)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}
