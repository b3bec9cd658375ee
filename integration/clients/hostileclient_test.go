package clients

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/wire"
)

// hostileLimits let sessions that hang in their login end soon.
const hostileLimits = "    limits: {handshake_timeout: 3s, hold_timeout: 3s}\n"

// TestHostileClients plays clients that break the protocol in every way that comes to mind, and random ones. No other
// session may notice, and nothing may be left of them.
func TestHostileClients(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			s := start(t, f, stand.Options{Cluster: hostileLimits})
			b := startBystander(t, s.Primary)
			if err := openApp(t, s.Primary, "tls=skip-verify").Ping(); err != nil { // the proxy knows the password now
				t.Fatal(err)
			}
			before := usageOf(t, s)
			t.Run("before login", func(t *testing.T) { hostileLogins(t, s.Primary) })
			t.Run("commands", func(t *testing.T) { hostileCommands(t, s.Primary) })
			t.Run("compression", func(t *testing.T) { lyingCompression(t, s, f) })
			t.Run("floods", func(t *testing.T) { flooded(t, s) })
			t.Run("random", func(t *testing.T) { randomClients(t, s.Primary) })
			b.end(t)
			settles(t, s, before)
		})
	}
}

// closes checks that the proxy ends conn, and does so in time.
func closes(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	defer func() { _ = conn.Close() }()
	if !ended(conn, time.Minute) {
		t.Errorf("%s: the connection is still open", what)
	}
}

func hostileLogins(t *testing.T, addr string) {
	random := make([]byte, 64<<10)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	var wg sync.WaitGroup
	attack := func(what string, data func(p *peer) []byte) {
		wg.Go(func() {
			p, err := dialPeer(addr)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				return
			}
			_, _ = p.Write(data(p)) // it may be closed amid
			closes(t, what, p)
		})
	}
	raw := func(what string, data []byte) { attack(what, func(*peer) []byte { return data }) }
	raw("nothing", nil)
	raw("random bytes", random)
	raw("zeros", make([]byte, 1000))
	raw("HTTP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	raw("an empty packet", []byte{0, 0, 0, 1})
	raw("2^24-1 bytes announced", append([]byte{0xff, 0xff, 0xff, 1}, random...))
	raw("1 MB announced", append([]byte{0, 0, 0x10, 1}, random...))
	raw("a TLS hello without the request", []byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3})
	for _, seq := range []byte{0, 2, 255} {
		attack(fmt.Sprintf("sequence number %d", seq), func(p *peer) []byte { return wire.AppendPacket(nil, seq, p.response()) })
	}
	ssl := wire.AppendSSLRequest(nil, wire.HandshakeResponse{Capabilities: peerCapabilities | wire.ClientSSL, Charset: 45, MaxPacket: 1 << 24})
	raw("TLS request, no TLS", wire.AppendPacket(nil, 1, ssl))
	raw("TLS request, garbage", append(wire.AppendPacket(nil, 1, ssl), random...))
	raw("TLS request, half a hello", append(wire.AppendPacket(nil, 1, ssl), halfHello()...))
	attack("TLS request, then plain login", func(p *peer) []byte {
		return append(wire.AppendPacket(nil, 1, ssl), wire.AppendPacket(nil, 2, p.response())...)
	})
	attack("a huge user name", func(p *peer) []byte {
		r := wire.HandshakeResponse{Capabilities: peerCapabilities, Charset: 45, User: string(bytes.Repeat([]byte("u"), 200<<10)), Plugin: "mysql_native_password"}
		return wire.AppendPacket(nil, 1, r.AppendTo(nil))
	})
	attack("attributes of 200 KB for an unknown user", func(p *peer) []byte {
		attrs := bytes.Repeat(append([]byte{3, 'k', 'e', 'y'}, append([]byte{200}, bytes.Repeat([]byte("v"), 200)...)...), 1000)
		r := wire.HandshakeResponse{Capabilities: peerCapabilities | wire.ClientConnectAttrs, Charset: 45, User: "nobody", Plugin: "mysql_native_password", Attrs: attrs}
		return wire.AppendPacket(nil, 1, r.AppendTo(nil))
	})
	wg.Wait()
	probe, err := dialPeer(addr)
	if err != nil {
		t.Fatal(err)
	}
	whole := len(probe.response()) - len("app\x00"+probe.greeting.AuthPlugin+"\x00") // without these it is a login
	_ = probe.Close()
	for cut := 0; cut < whole; cut += 1 + cut/20 { // a response that says it ends here
		attack(fmt.Sprintf("response of %d bytes", cut), func(p *peer) []byte { return wire.AppendPacket(nil, 1, p.response()[:cut]) })
	}
	wg.Wait()
}

// halfHello is the beginning of a true TLS handshake.
func halfHello() []byte {
	client, server := net.Pipe()
	defer func() { _ = server.Close() }()
	go func() {
		_ = tls.Client(client, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(context.Background())
	}()
	b := make([]byte, 512)
	n, _ := server.Read(b)
	_ = client.Close()
	return b[:n/2]
}

// hostileCommands sends every command code with nonsense behind it, and nonsense in place of commands.
func hostileCommands(t *testing.T, addr string) {
	var wg sync.WaitGroup
	tickets := make(chan struct{}, 8)
	attack := func(what string, data []byte) {
		tickets <- struct{}{}
		wg.Go(func() {
			defer func() { <-tickets }()
			p, err := loginPeer(addr)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				return
			}
			defer func() { _ = p.Close() }()
			_, _ = p.Write(data)
			// Whatever the answer is: hang up amid it, or when it is complete.
			_ = p.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(30)) * time.Millisecond))
			_, _, _ = p.packet()
		})
	}
	for code := range 256 {
		for _, size := range []int{0, 1, 9, 300} {
			payload := make([]byte, 1+size)
			for i := range payload {
				payload[i] = byte(rand.Uint32())
			}
			payload[0] = byte(code)
			attack(fmt.Sprintf("command %#x with %d bytes", code, size), wire.AppendPacket(nil, 0, payload))
		}
	}
	query := append([]byte{wire.ComQuery}, "SELECT 1"...)
	execute := binary.LittleEndian.AppendUint32([]byte{wire.ComStmtExecute}, 0xffffffff)
	attack("an empty command", []byte{0, 0, 0, 0})
	attack("sequence number 7", wire.AppendPacket(nil, 7, query))
	attack("half a header", []byte{9, 0})
	attack("half a command", wire.AppendPacket(nil, 0, query)[:8])
	attack("2^24-1 bytes announced", append([]byte{0xff, 0xff, 0xff, 0}, query...))
	attack("16 MB and no more", append([]byte{0xff, 0xff, 0xff, 0}, append(query, make([]byte, 1<<24-1-len(query))...)...))
	attack("16 MB of an unknown command", append([]byte{0xff, 0xff, 0xff, 0}, bytes.Repeat([]byte{0xee}, 1<<24-1)...))
	attack("many commands at once", bytes.Repeat(wire.AppendPacket(nil, 0, query), 5000))
	attack("execution of nothing", wire.AppendPacket(nil, 0, execute))
	attack("long data for nothing, without end", bytes.Repeat(wire.AppendPacket(nil, 0, append([]byte{wire.ComStmtSendLongData, 9, 0, 0, 0, 0, 0}, make([]byte, 60<<10)...)), 100))
	attack("a file that is not sent", wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, "LOAD DATA LOCAL INFILE 'x' INTO TABLE bystander"...)))
	attack("a query in place of a file", append(wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, "LOAD DATA LOCAL INFILE 'x' INTO TABLE bystander"...)), wire.AppendPacket(nil, 0, query)...))
	wg.Wait()
	endless(t, addr)
}

// endless is a command that never ends: the server's limit (max_allowed_packet) must end it, and the proxy keep nothing.
func endless(t *testing.T, addr string) {
	p, err := loginPeer(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	_ = p.SetDeadline(time.Now().Add(2 * time.Minute))
	packet := append([]byte{0xff, 0xff, 0xff, 0}, bytes.Repeat([]byte{wire.ComQuery}, 1<<24-1)...)
	for i := range 20 { // 320 MB where 64 are allowed
		packet[3] = byte(i)
		if _, err := p.Write(packet); err != nil {
			return
		}
	}
	closes(t, "a command of 320 MB", p)
}

// randomClients plays clients that begin with something sensible and go wrong at random.
func randomClients(t *testing.T, addr string) {
	seed, end := fuzzSeed(t), time.Now().Add(fuzzTime(t))
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(worker)))
			for n := 0; time.Now().Before(end); n++ {
				randomClient(t, addr, r)
			}
		})
	}
	wg.Wait()
}

var sensible = []string{
	"SELECT 1", "SELECT REPEAT('x', 100000)", "BEGIN", "COMMIT", "SET @a=1", "SET NAMES latin1", "SELECT * FROM nowhere", "SELECT 1; SELECT 2",
	"CREATE TEMPORARY TABLE tmp (id INT)", "LOAD DATA LOCAL INFILE 'x' INTO TABLE bystander", "USE app", "SET session_track_schema=0", "PREPARE s FROM 'SELECT ?'",
}

func randomClient(t *testing.T, addr string, r *rand.Rand) {
	p, err := dialPeer(addr)
	if err != nil {
		t.Errorf("no greeting: %v", err)
		return
	}
	defer func() { _ = p.Close() }()
	login := wire.AppendPacket(nil, 1, p.response())
	if r.IntN(4) == 0 {
		_, _ = p.Write(mangle(r, login))
		_ = p.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _, _ = p.packet()
		return
	}
	_, _ = p.Write(login)
	if err := p.admitted(); err != nil {
		t.Errorf("an ordinary login: %v", err)
		return
	}
	for range 1 + r.IntN(10) {
		_, _ = p.Write(mangle(r, randomCommand(r)))
		_ = p.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(20)) * time.Millisecond))
		_, _, _ = p.packet()
	}
}

func randomCommand(r *rand.Rand) []byte {
	codes := []byte{wire.ComStmtExecute, wire.ComStmtFetch, wire.ComStmtReset, wire.ComStmtClose, wire.ComStmtSendLongData, wire.ComStmtBulkExecute, wire.ComChangeUser, wire.ComResetConnection, wire.ComSetOption, wire.ComInitDB, wire.ComFieldList}
	text := sensible[r.IntN(len(sensible))]
	switch r.IntN(4) {
	case 0:
		return wire.AppendPacket(nil, 0, append([]byte{wire.ComStmtPrepare}, "SELECT ?, ?"...))
	case 1:
		payload := binary.LittleEndian.AppendUint32([]byte{codes[r.IntN(len(codes))]}, uint32(r.IntN(4)))
		for range r.IntN(40) {
			payload = append(payload, byte(r.UintN(256)))
		}
		return wire.AppendPacket(nil, 0, payload)
	default:
		return wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, text...))
	}
}

// mangle spoils b in every second case.
func mangle(r *rand.Rand, b []byte) []byte {
	if r.IntN(2) == 0 || len(b) == 0 {
		return b
	}
	b = bytes.Clone(b)
	at := r.IntN(len(b))
	switch r.IntN(6) {
	case 0:
		b[at] ^= byte(1 + r.UintN(255))
	case 1:
		b = b[:at]
	case 2:
		b = append(b[:at], b[min(len(b), at+1+r.IntN(8)):]...)
	case 3:
		b = append(b[:at:at], append(make([]byte, r.IntN(16)), b[at:]...)...)
	case 4:
		b = append(b, b[at:]...)
	default:
		b[r.IntN(min(4, len(b)))] = byte(r.UintN(256)) // the header
	}
	return b
}
