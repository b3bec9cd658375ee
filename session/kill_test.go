package session

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// killOf peeks at a command and gives what it wants to kill.
func killOf(t *testing.T, c *Core, pkt []byte) (Kill, bool) {
	t.Helper()
	cmd, need, err := c.Peek(pkt)
	if err != nil || need != 0 {
		t.Fatalf("peek: need %d, %v", need, err)
	}
	if !cmd.Kills() {
		return Kill{}, false
	}
	return c.Kill(pkt)
}

func TestKillIsRetargeted(t *testing.T) {
	for sql, want := range map[string]string{
		"KILL 17":                        "KILL 4000000000",
		"kill /* x */ query 0x11 ; -- y": "kill /* x */ query 4000000000 ; -- y",
		"KILL CONNECTION (+'17')":        "KILL CONNECTION (+'4000000000')",
		"KILL'17'":                       "KILL'4000000000'",
		"KILL SOFT QUERY 17":             "KILL SOFT QUERY 4000000000",
	} {
		core := trackedRig(t).core
		pkt := query(sql)
		k, ok := killOf(t, core, pkt)
		if !ok || k.ID != 17 || !k.Replaceable() {
			t.Errorf("%s: %+v, %v", sql, k, ok)
			continue
		}
		if got := string(k.AppendTo(nil, 4000000000)); got != "\x03"+want {
			t.Errorf("%s: %q elsewhere", sql, got)
		}
		core.Retarget(k, 4000000000)
		out, n := core.Begin(pkt)
		if got := packets(t, out); n != len(pkt) || string(got[0]) != "\x03"+want {
			t.Errorf("%s: %q, %d of %d bytes", sql, got, n, len(pkt))
		}
		if out, _ = core.Begin(query("SELECT 1")); string(out[5:]) != "SELECT 1" {
			t.Errorf("the next command is %q", out)
		}
	}
}

func TestKillThatIsLeftAlone(t *testing.T) {
	core := trackedRig(t).core
	for _, sql := range []string{
		"KILL QUERY ID 17", "KILL USER app", "KILL CONNECTION_ID()", "DO 1; KILL 17", "KILL 17 /*!; KILL 18 */", "KILL @x", "KILL ?", "SELECT 'KILL 17'", "DO 17",
	} {
		if k, ok := killOf(t, core, query(sql)); ok {
			t.Errorf("%s kills %d", sql, k.ID)
		}
	}
	long := "KILL 17 /*" + strings.Repeat("x", MaxInspect) + "*/"
	pkt := query(long)
	if k, ok := killOf(t, core, pkt[:MaxInspect]); ok {
		t.Errorf("a statement that has not been seen whole kills %d", k.ID)
	}
	if k, ok := core.Kill([]byte{2, 0, 0, 0, wire.ComProcessKill, 17}); ok {
		t.Errorf("a cut COM_PROCESS_KILL kills %d", k.ID)
	}
}

func TestKillBeforeOtherStatements(t *testing.T) {
	for sql, want := range map[string]struct{ here, elsewhere, omitted string }{
		"KILL 17; KILL 18":                     {"KILL 5; KILL 18", "KILL 5", "DO 0; KILL 18"},
		"/* x */ kill query ('17') ;SELECT 17": {"/* x */ kill query ('5') ;SELECT 17", "/* x */ kill query ('5') ", "DO 0;SELECT 17"},
	} {
		for _, omit := range []bool{false, true} {
			core := trackedRig(t).core
			pkt := query(sql)
			k, ok := killOf(t, core, pkt)
			if !ok || k.ID != 17 || !k.More {
				t.Fatalf("%s: %+v, %v", sql, k, ok)
			}
			if got := string(k.AppendTo(nil, 5)); got != ""+want.elsewhere {
				t.Errorf("%s: %q elsewhere", sql, got)
			}
			sent := want.here
			if omit {
				sent = want.omitted
				core.Omit(k)
			} else {
				core.Retarget(k, 5)
			}
			out, _ := core.Begin(pkt)
			if got := packets(t, out); string(got[0]) != ""+sent {
				t.Errorf("%s: sent %q, want %q", sql, got[0], sent)
			}
			if core.Succeeded() {
				t.Error("there was no answer yet")
			}
			if _, _, _, err := core.Server(okay(wire.StatusAutocommit | wire.StatusMoreResults)); err != nil || !core.Succeeded() {
				t.Errorf("after the first OK: %v, %v", core.Succeeded(), err)
			}
		}
	}
}

// TestKillWhereOneStatementIsAllowed leaves it to the server to refuse the text.
func TestKillWhereOneStatementIsAllowed(t *testing.T) {
	r := newRig(t, Config{Flavor: MariaDB, Client: clientCaps &^ wire.ClientMultiStatements, Server: serverCaps, Schema: "app"})
	if k, ok := killOf(t, r.core, query("KILL 17; DO 1")); ok {
		t.Errorf("%+v", k)
	}
	for option, want := range []bool{true, false} { // MYSQL_OPTION_MULTI_STATEMENTS_ON, OFF
		r.run(packet(0, wire.ComSetOption, byte(option), 0), okay(wire.StatusAutocommit))
		if k, ok := killOf(t, r.core, query("KILL 17; DO 1")); ok != want {
			t.Errorf("option %d: %+v, %v", option, k, ok)
		}
	}
}

func TestProcessKillIsRetargeted(t *testing.T) {
	core := trackedRig(t).core
	pkt := packet(0, wire.ComProcessKill, 17, 0, 0, 0)
	k, ok := killOf(t, core, pkt)
	if !ok || k.ID != 17 {
		t.Fatalf("%+v, %v", k, ok)
	}
	if got := string(k.AppendTo(nil, 0x01020304)); got != "\x0c\x04\x03\x02\x01" {
		t.Errorf("elsewhere %q", got)
	}
	core.Retarget(k, 0x01020304)
	if out, _ := core.Begin(pkt); string(out[4:]) != "\x0c\x04\x03\x02\x01" {
		t.Errorf("here %q", out)
	}
}

func TestPreparedKill(t *testing.T) {
	for sql, want := range map[string]string{"KILL QUERY ?": "KILL QUERY 5", "KILL 70000": "KILL 5"} {
		r := trackedRig(t)
		params := byte(strings.Count(sql, "?"))
		pkt := packet(0, append([]byte{wire.ComStmtPrepare}, sql...)...)
		if _, _, err := r.core.Peek(pkt); err != nil {
			t.Fatal(err)
		}
		r.core.Begin(pkt)
		answer := packet(1, 0, 7, 0, 0, 0, 0, 0, params, 0, 0, 0, 0)
		if params > 0 { // its definition
			answer = append(answer, packet(2, 3, 'd', 'e', 'f')...)
		}
		if _, _, next, err := r.core.Server(answer); next != Finished || err != nil {
			t.Fatal(next, err)
		}
		for kind, value := range map[byte][]byte{
			typeLong: {0x70, 0x11, 0x01, 0x00}, typeLongLong: {0x70, 0x11, 0x01, 0, 0, 0, 0, 0}, typeText: []byte("\x0570000"),
		} {
			body := binary.LittleEndian.AppendUint32([]byte{wire.ComStmtExecute}, 7)
			body = append(body, 0, 1, 0, 0, 0)
			if params > 0 {
				body = append(append(body, 0, 1, kind, 0), value...)
			}
			pkt := packet(0, body...)
			k, ok := killOf(t, r.core, pkt)
			if !ok || k.Replaceable() || k.ID != 70000 {
				t.Errorf("%s by type %#x: %+v, %v", sql, kind, k, ok)
			}
			if got := string(k.AppendTo(nil, 5)); got != "\x03"+want {
				t.Errorf("%s: %q", sql, got)
			}
			if params > 0 {
				pkt[wire.HeaderSize+10] = 1 // NULL
				if k, ok := killOf(t, r.core, pkt); ok {
					t.Errorf("%s of NULL kills %d", sql, k.ID)
				}
			}
		}
	}
}

// FuzzKill looks for kills in anything, and sends them on with another id.
func FuzzKill(f *testing.F) {
	f.Add(query("KILL QUERY 17"))
	f.Add(query("KILL '17' ; DO 1"))
	f.Add(query("KILL HARD USER 'a'@'%'"))
	f.Add(packet(0, wire.ComProcessKill, 17, 0, 0, 0))
	f.Add(packet(0, wire.ComStmtExecute, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, typeLong, 0, 17, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := trackedRig(t)
		r.prepare("KILL ?", 1, 1, 0)
		cmd, need, err := r.core.Peek(b)
		if err != nil || need > 0 || !cmd.Kills() {
			return
		}
		k, ok := r.core.Kill(b)
		if user := r.core.KilledUser(b); user != "" && ok {
			t.Errorf("both connection %d and user %q", k.ID, user)
		}
		if !ok {
			return
		}
		size := wire.PayloadLen(b)
		elsewhere := k.AppendTo(nil, 4711)
		if k.Replaceable() {
			r.core.Retarget(k, 4711)
		}
		out, n := r.core.Begin(b)
		if n != wire.HeaderSize+size || wire.PayloadLen(out) != len(out)-wire.HeaderSize {
			t.Fatalf("used %d of %d bytes, sent %q", n, wire.HeaderSize+size, out)
		}
		if k.Replaceable() && !bytes.HasPrefix(out[wire.HeaderSize:], elsewhere) {
			t.Fatalf("here %q, elsewhere %q", out[wire.HeaderSize:], elsewhere)
		}
		if cmd.Code == wire.ComProcessKill {
			return
		}
		if rest := len(b[:n]) - k.stop; k.Replaceable() {
			c := trackedRig(t).core
			if _, _, err := c.Peek(b); err != nil {
				t.Fatal(err)
			}
			c.Omit(k)
			if omitted, _ := c.Begin(b); !bytes.Equal(omitted[len(omitted)-rest:], b[n-rest:n]) || !bytes.HasSuffix(omitted[:len(omitted)-rest], []byte("DO 0")) {
				t.Fatalf("omitted from %q: %q", b[:n], omitted)
			}
		}
		// What is sent is a kill of that id, and of nothing else.
		again, ok := killOf(t, trackedRig(t).core, packet(0, elsewhere...))
		if !ok || again.ID != 4711 || again.Kind != k.Kind {
			t.Fatalf("%q kills %d by %s (%v), want %s", elsewhere, again.ID, again.Kind, ok, k.Kind)
		}
	})
}

// TestKillOfAnything feeds damaged packets.
func TestKillOfAnything(t *testing.T) {
	core := trackedRig(t).core
	for n := range 12 {
		for _, code := range []byte{wire.ComProcessKill, wire.ComQuery, wire.ComStmtExecute, wire.ComPing} {
			body := make([]byte, n+1)
			body[0] = code
			core.Kill(packet(0, body...))
		}
	}
}
