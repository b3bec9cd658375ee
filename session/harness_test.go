package session

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// clientCaps and serverCaps are those of an ordinary client without session tracking at a MySQL server.
const (
	clientCaps = wire.ClientProtocol41 | wire.ClientDeprecateEOF | wire.ClientMultiStatements
	serverCaps = clientCaps | wire.ClientSessionTrack
)

// rig is a Core with both its peers played by the test.
type rig struct {
	t    testing.TB
	core *Core
	// split, when above 0, cuts each of the server's answers there.
	split int
}

func newRig(t testing.TB, c Config) *rig {
	t.Helper()
	r := &rig{t: t, core: New(c)}
	r.attach()
	return r
}

func trackedRig(t testing.TB) *rig {
	t.Helper()
	return newRig(t, Config{Flavor: MariaDB, Client: clientCaps, Server: serverCaps, Schema: "app"})
}

// attach gives the session a server connection that accepts the whole rebuild, and returns what was sent there.
func (r *rig) attach() []string {
	r.t.Helper()
	sent := packets(r.t, r.core.Attach())
	var answer []byte
	var texts []string
	for _, p := range sent {
		texts = append(texts, string(p[1:]))
		answer = append(answer, okay(wire.StatusAutocommit)...)
	}
	n, done, err := r.core.Prelude(answer)
	if err != nil || !done || n != len(answer) {
		r.t.Fatalf("prelude used %d of %d bytes, done %v: %v", n, len(answer), done, err)
	}
	return texts
}

// packets cuts b into payloads.
func packets(t testing.TB, b []byte) (list [][]byte) {
	t.Helper()
	for len(b) > 0 {
		n := wire.PayloadLen(b)
		list = append(list, bytes.Clone(b[wire.HeaderSize:wire.HeaderSize+n]))
		b = b[wire.HeaderSize+n:]
	}
	return list
}

func packet(seq byte, payload ...byte) []byte { return wire.AppendPacket(nil, seq, payload) }

func query(sql string) []byte { return packet(0, append([]byte{wire.ComQuery}, sql...)...) }

func okay(s wire.Status, track ...byte) []byte {
	if len(track) == 0 {
		return packet(1, 0, 0, 0, byte(s), byte(s>>8), 0, 0)
	}
	s |= wire.StatusSessionStateChanged
	p := []byte{0, 0, 0, byte(s), byte(s >> 8), 0, 0, 0}
	return packet(1, wire.AppendLenEncBytes(p, track)...)
}

func refusal(code uint16) []byte { return packet(1, wire.AppendErr(nil, code, "HY000", "no")...) }

// str and change encode session state.
func str(s string) []byte { return wire.AppendLenEncBytes(nil, []byte(s)) }

func change(k wire.TrackKind, body ...byte) []byte {
	return wire.AppendLenEncBytes([]byte{byte(k)}, body)
}

func setVar(name, value string) []byte {
	return change(wire.TrackVariable, append(str(name), str(value)...)...)
}

var stateChanged = change(wire.TrackState, '1')

// run sends one command and answers it; it returns what the server and the client saw.
func (r *rig) run(command, answer []byte) (toServer, toClient []byte) {
	r.t.Helper()
	buf := bytes.Clone(command)
	if _, need, err := r.core.Peek(buf); need != 0 || err != nil {
		r.t.Fatalf("peek at %x: need %d, %v", command, need, err)
	}
	if b := r.core.NeedsPrepare(buf); b != nil {
		r.t.Fatalf("%x wants a statement prepared again", command)
	}
	out, n := r.core.Begin(buf)
	if n != len(command) || r.core.Streaming() {
		r.t.Fatalf("command of %d bytes used up to %d", len(command), n)
	}
	return bytes.Clone(out), r.answer(answer)
}

// answer feeds the server's bytes, whole or split, and returns what goes to the client.
func (r *rig) answer(answer []byte) (toClient []byte) {
	r.t.Helper()
	if len(answer) == 0 {
		return nil
	}
	cut := len(answer)
	if r.split > 0 {
		cut = min(r.split, len(answer))
	}
	held := bytes.Clone(answer[:cut])
	rest := answer[cut:]
	for {
		out, n, next, err := r.core.Server(held)
		if err != nil {
			r.t.Fatalf("answer %x: %v", answer, err)
		}
		toClient = append(toClient, out...)
		held = append(bytes.Clone(held[n:]), rest...)
		if next != ReadServer {
			if len(held) > 0 {
				r.t.Fatalf("%d bytes of the answer are left", len(held))
			}
			return toClient
		}
		if len(rest) == 0 {
			r.t.Fatalf("answer %x is not complete", answer)
		}
		rest = nil
	}
}

// sql runs a statement that succeeds, with the given session state in its OK.
func (r *rig) sql(text string, s wire.Status, track ...byte) {
	r.t.Helper()
	r.run(query(text), okay(s, track...))
}

func (r *rig) wantPins(want Pin) {
	r.t.Helper()
	if got := r.core.Pins(); got != want {
		r.t.Errorf("pinned by %q, want %q", got, want)
	}
}

// rebuilt moves the session and returns the statements of its rebuild behind the one that sets up tracking.
func (r *rig) rebuilt() []string {
	r.t.Helper()
	r.core.Detach()
	sent := r.attach()
	if len(sent) == 0 || !strings.HasPrefix(sent[0], "SET session_track") {
		r.t.Fatalf("rebuild begins with %q", sent)
	}
	return sent[1:]
}

// prepare prepares a statement that the server numbers id.
func (r *rig) prepare(sql string, id uint32, columns, params byte) (clientID uint32) {
	r.t.Helper()
	_, out := r.run(packet(0, append([]byte{wire.ComStmtPrepare}, sql...)...), prepared(id, columns, params))
	return getID(out)
}

func prepared(id uint32, columns, params byte) []byte {
	b := packet(1, 0, byte(id), byte(id>>8), byte(id>>16), byte(id>>24), columns, 0, params, 0, 0, 0, 0)
	for i := range columns + params {
		b = append(b, packet(2+i, 3, 'd', 'e', 'f')...)
	}
	return b
}

// numbered repeats format with the numbers below n.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// statementCommand is a command about statement id with a body behind the id.
func statementCommand(code byte, id uint32, body ...byte) []byte {
	return packet(0, append([]byte{code, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}, body...)...)
}

// execute is COM_STMT_EXECUTE with one parameter; types nil leaves them to the server's memory.
func execute(id uint32, types []byte, value ...byte) []byte {
	body := []byte{0, 1, 0, 0, 0, 0} // flags, iterations, null bitmap
	if types == nil {
		body = append(body, 0)
	} else {
		body = append(append(body, 1), types...)
	}
	return statementCommand(wire.ComStmtExecute, id, append(body, value...)...)
}
