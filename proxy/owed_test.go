package proxy

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// say sends one command and returns the first packet of its answer.
func say(t *testing.T, conn net.Conn, payload ...byte) []byte {
	t.Helper()
	tell(t, conn, payload...)
	head := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, wire.PayloadLen(head))
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatal(err)
	}
	return body
}

// tell sends one command that has no answer.
func tell(t *testing.T, conn net.Conn, payload ...byte) {
	t.Helper()
	if _, err := conn.Write(wire.AppendPacket(nil, 0, payload)); err != nil {
		t.Fatal(err)
	}
}

// The loss of a transaction must be told even when the command that met it has no answer: otherwise the rest of the
// transaction would run by itself, and be acknowledged.
func TestLossIsOwedToTheNextCommandWithAnAnswer(t *testing.T) {
	for name, silent := range map[string][]byte{
		"close":     {wire.ComStmtClose, 9, 0, 0, 0},
		"long data": {wire.ComStmtSendLongData, 9, 0, 0, 0, 0, 0, 'x'},
	} {
		for _, how := range []string{"server lost", "drained"} {
			t.Run(name+", "+how, func(t *testing.T) {
				bed := newTestbed(t, nil)
				raw := bed.rawLogin()
				defer raw.Close()
				query := func(sql string) []byte { return say(t, raw, append([]byte{wire.ComQuery}, sql...)...) }
				if r := query("BEGIN"); r[0] != wire.HeaderOK {
					t.Fatalf("%x", r)
				}
				bed.eventually("the transaction is seen", func() bool { return bed.cluster.Sessions()[0].InTransaction })
				if how == "drained" {
					bed.cluster.CloseOpen(errors.New("switchover"))
				} else {
					bed.cluster.each(func(s *clientSession) { _ = s.where.Load().conn.Close() })
				}
				tell(t, raw, silent...)
				r := query("INSERT 2")
				if r[0] != wire.HeaderERR || binary.LittleEndian.Uint16(r[1:]) != erLockDeadlock {
					t.Errorf("the client was not told: %x", r)
				}
				if n := bed.a.Heard("INSERT 2"); n != 0 {
					t.Error("a statement of the lost transaction was executed")
				}
				if r := query("INSERT 3"); r[0] != wire.HeaderOK {
					t.Errorf("the session does not go on: %q", r)
				}
			})
		}
	}
}
