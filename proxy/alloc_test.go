package proxy

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/internal/wiretest"
	"github.com/onewriter/onewriter/topology"
)

// cannedServer is a server that allocates nothing once a client is logged in, so that what is counted in its process
// is the proxy's.
func cannedServer(t testing.TB, replies map[byte][]byte) (i topology.Instance, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil { // it was closed
				return
			}
			go serveCanned(conn, &replies)
		}
	}()
	return topology.Instance{Name: "a", Address: ln.Addr().String()}, func() { _ = ln.Close(); <-done }
}

func serveCanned(conn net.Conn, replies *map[byte][]byte) {
	defer conn.Close()
	pc := wire.NewPacketConn(conn)
	g := wire.Greeting{
		Version: "8.0.99-canned", ConnID: 1, Salt: [wire.SaltLen]byte([]byte("abcdefghijklmnopqrst")), Capabilities: wiretest.Capabilities,
		Charset: 45, Status: wire.StatusAutocommit, AuthPlugin: "mysql_native_password",
	}
	if pc.WritePacket(g.AppendTo(nil)) != nil {
		return
	}
	if _, err := pc.ReadPacket(); err != nil {
		return
	}
	if pc.WritePacket([]byte{0, 0, 0, 2, 0, 0, 0}) != nil {
		return
	}
	buf := make([]byte, 4096)
	for {
		if _, err := io.ReadFull(conn, buf[:wire.HeaderSize]); err != nil {
			return
		}
		if _, err := io.ReadFull(conn, buf[:wire.PayloadLen(buf)]); err != nil || buf[0] == wire.ComQuit {
			return
		}
		if _, err := conn.Write((*replies)[buf[0]]); err != nil {
			return
		}
	}
}

// packets joins payloads to a response.
func packets(payloads ...string) (out []byte) {
	for i, p := range payloads {
		out = wire.AppendPacket(out, byte(i+1), []byte(p))
	}
	return out
}

// The answers of a server to a point select of one column, as text, prepared and as a binary row, and to a ping.
const (
	cannedOK     = "\x00\x00\x00\x02\x00\x00\x00"
	cannedEnd    = "\xfe\x00\x00\x02\x00\x00\x00"
	cannedColumn = "\x03def\x00\x00\x00\x01c\x00\x0c\x2d\x00\x78\x00\x00\x00\xfe\x00\x00\x00\x00\x00"
)

func cannedReplies() map[byte][]byte {
	row := string(make([]byte, 120))
	return map[byte][]byte{
		wire.ComQuery:       packets("\x01", cannedColumn, "\x78"+row, cannedEnd),
		wire.ComStmtPrepare: packets("\x00\x01\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", cannedColumn, cannedColumn),
		wire.ComStmtExecute: packets("\x01", cannedColumn, "\x00\x00\x78"+row, cannedEnd),
		wire.ComPing:        packets(cannedOK),
	}
}

// exchange sends a command and reads an answer of known length.
func exchange(t testing.TB, conn net.Conn, command, answer []byte) {
	if _, err := conn.Write(command); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
}

// hotCommands are those that must cost no allocation.
func hotCommands() map[string][]byte {
	execute := []byte{wire.ComStmtExecute, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 8, 0}
	execute = binary.LittleEndian.AppendUint64(execute, 4711)
	return map[string][]byte{
		"point select":           wire.AppendPacket(nil, 0, []byte("\x03SELECT c FROM sbtest1 WHERE id=4711")),
		"point select in quotes": wire.AppendPacket(nil, 0, []byte("\x03select `c` from `app`.`sbtest1` where `name` = 'O\\'Neil' limit 1")),
		"update":                 wire.AppendPacket(nil, 0, []byte("\x03UPDATE sbtest1 SET k=k+1 WHERE id=4711")),
		"prepared execute":       wire.AppendPacket(nil, 0, execute),
		"ping":                   wire.AppendPacket(nil, 0, []byte{wire.ComPing}),
	}
}

// TestNoAllocationPerCommand sends commands through a session as it runs in production, sockets and all.
func TestNoAllocationPerCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("under the race detector, which runs with -short, pools forget what they are given")
	}
	replies := cannedReplies()
	server, stop := cannedServer(t, replies)
	defer stop()
	bed := newTestbed(t, func(c *Config) { c.Servers[0] = server })
	bed.cluster.Publish(topology.Primary{Instance: server, Epoch: 2})
	conn := bed.rawLogin()
	exchange(t, conn, wire.AppendPacket(nil, 0, []byte("\x16SELECT c FROM sbtest1 WHERE id=?")), make([]byte, len(replies[wire.ComStmtPrepare])))
	for name, command := range hotCommands() {
		answer := make([]byte, len(replies[command[wire.HeaderSize]]))
		if n := testing.AllocsPerRun(500, func() { exchange(t, conn, command, answer) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
