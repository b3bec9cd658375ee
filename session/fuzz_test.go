package session

import (
	"bytes"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// FuzzServer feeds one command's answer whole and in two pieces: the client must see the same.
func FuzzServer(f *testing.F) {
	f.Add([]byte{wire.ComQuery, 'S'}, okay(auto, stateChanged...), uint16(5))
	f.Add([]byte{wire.ComStmtPrepare, 'S'}, prepared(1, 1, 1), uint16(9))
	f.Add([]byte{wire.ComQuery, 'S'}, pointSelect(), uint16(14))
	for _, c := range captures(f) {
		if c.caps.Has(wire.ClientDeprecateEOF) {
			c.each(func(sent, answer []byte) {
				if len(sent) > wire.HeaderSize && len(answer) < 200 {
					f.Add(sent[wire.HeaderSize:], answer, uint16(len(answer)/2))
				}
			})
		}
	}
	f.Fuzz(func(t *testing.T, command, answer []byte, split uint16) {
		if len(command) == 0 || len(command) > 1000 {
			return
		}
		whole, ok := fuzzAnswer(t, command, answer, len(answer))
		parts, okay := fuzzAnswer(t, command, answer, min(int(split), len(answer)))
		if ok != okay || ok && !bytes.Equal(whole, parts) {
			t.Fatalf("whole %x (%v), in pieces %x (%v)", whole, ok, parts, okay)
		}
	})
}

func fuzzAnswer(t *testing.T, command, answer []byte, split int) (got []byte, ok bool) {
	r := trackedRig(t)
	buf := packet(0, command...)
	if _, need, err := r.core.Peek(buf); need != 0 || err != nil {
		return nil, true
	}
	r.core.Begin(buf)
	if !wire.HasResponse(command[0]) {
		return nil, true
	}
	held, rest := bytes.Clone(answer[:split]), answer[split:]
	for {
		out, n, next, err := r.core.Server(held)
		if n < 0 || n > len(held) || len(out) > n {
			t.Fatalf("used %d of %d bytes, %d forwarded", n, len(held), len(out))
		}
		got = append(got, out...)
		if err != nil {
			return got, false
		}
		if next != ReadServer || len(rest) == 0 {
			return got, true
		}
		held, rest = append(bytes.Clone(held[n:]), rest...), nil
	}
}

// FuzzClient feeds the bytes of a client.
func FuzzClient(f *testing.F) {
	f.Add(query("SELECT 1"))
	f.Add(execute(1, longType, 1, 0, 0, 0))
	f.Add(statementCommand(wire.ComStmtBulkExecute, 1, 128, 0, 3, 0))
	for _, c := range captures(f) {
		c.each(func(sent, _ []byte) { f.Add(sent) })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newRig(t, Config{Client: clientCaps | wire.ClientQueryAttributes, Server: serverCaps | wire.ClientQueryAttributes})
		r.prepare("SELECT ?", 1, 1, 1)
		r.core.Detach()
		r.attach()
		_, need, err := r.core.Peek(b)
		if err != nil {
			return
		}
		if need > 0 {
			if need <= len(b) {
				t.Fatalf("needs %d bytes and has %d", need, len(b))
			}
			return
		}
		r.core.NeedsPrepare(b)
		if _, n := r.core.Begin(b); n <= 0 || n > len(b) {
			t.Fatalf("used %d of %d bytes", n, len(b))
		}
	})
}
