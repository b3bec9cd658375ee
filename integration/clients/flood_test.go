package clients

import (
	"bytes"
	"compress/zlib"
	"crypto/tls"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// floodSize is how many connections a flood has: ONEWRITER_FLOOD, 200 by default and 2000 at most.
func floodSize(t *testing.T) int {
	t.Helper()
	text := os.Getenv("ONEWRITER_FLOOD")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// floods are the stages of a login at which clients can stop. hold gives a connection that has got there.
var floods = []struct {
	name string
	hold func(addr string) (net.Conn, error)
}{
	{"nothing is said", func(addr string) (net.Conn, error) { return dialPeer(addr) }},
	{"half a header", func(addr string) (net.Conn, error) { return stopped(addr, []byte{1, 0}) }},
	{"a long login begun", func(addr string) (net.Conn, error) {
		return stopped(addr, []byte{0, 0, wire.MaxLoginPacket >> 16, 1, 0x85})
	}},
	{"TLS asked for", func(addr string) (net.Conn, error) { return stopped(addr, sslRequest()) }},
	{"half a hello", func(addr string) (net.Conn, error) { return stopped(addr, append(sslRequest(), halfHello()...)) }},
	{"TLS and nothing more", func(addr string) (net.Conn, error) {
		conn, err := stopped(addr, sslRequest())
		if err != nil {
			return nil, err
		}
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		return secure, secure.Handshake()
	}},
	{"a long login begun in TLS", func(addr string) (net.Conn, error) {
		conn, err := stopped(addr, sslRequest())
		if err != nil {
			return nil, err
		}
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		_, err = secure.Write([]byte{0, 0, wire.MaxLoginPacket >> 16, 2, 0x85})
		return secure, err
	}},
	{"an unknown user who does not prove it", func(addr string) (net.Conn, error) {
		r := wire.HandshakeResponse{Capabilities: peerCapabilities, Charset: 45, User: "nobody", Plugin: "no_such_plugin", Auth: []byte("x")}
		return stopped(addr, wire.AppendPacket(nil, 1, r.AppendTo(nil)))
	}},
}

func sslRequest() []byte {
	r := wire.HandshakeResponse{Capabilities: peerCapabilities | wire.ClientSSL, Charset: 45, MaxPacket: 1 << 24}
	return wire.AppendPacket(nil, 1, wire.AppendSSLRequest(nil, r))
}

// stopped is a client that says b after the greeting, and no more.
func stopped(addr string, b []byte) (net.Conn, error) {
	p, err := dialPeer(addr)
	if err != nil {
		return nil, err
	}
	_, err = p.Write(b)
	return p, err
}

// floodShare is how much memory in bytes one connection of a flood may cost; TLS takes the most.
const floodShare = 40 << 10

// flooded holds many connections at all stages of the login at once.
func flooded(t *testing.T, s *stand.Stand) {
	before := usageOf(t, s)
	var mu sync.Mutex
	var held []net.Conn
	var wg sync.WaitGroup
	n := floodSize(t)
	for first := range 16 {
		wg.Go(func() {
			for i := first; i < n; i += 16 {
				f := floods[i%len(floods)]
				conn, err := f.hold(s.Primary)
				if err != nil {
					t.Errorf("%s: %v", f.name, err)
					return
				}
				mu.Lock()
				held = append(held, conn)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	peak := usageOf(t, s)
	t.Logf("%d connections: before %+v, now %+v", n, before, peak)
	if more := peak.rssMB - before.rssMB; more > n*floodShare>>20+slackMB {
		t.Errorf("%d connections that do not log in take %d MiB", n, more)
	}
	for _, c := range held {
		_ = c.Close()
	}
}

// compressedPacket is a packet of the compressed protocol that says it holds plain bytes.
func compressedPacket(body []byte, plain int) []byte {
	n := len(body)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), 0, byte(plain), byte(plain >> 8), byte(plain >> 16)}, body...)
}

func deflated(plain []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(plain)
	_ = w.Close()
	return b.Bytes()
}

// lyingCompression sends compressed packets that are not what they say they are. Each ends its session.
func lyingCompression(t *testing.T, s *stand.Stand, f mysqltest.Flavor) {
	query := wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, "SELECT 'x'"...))
	bomb := deflated(append([]byte{0xff, 0xff, 0xff, 0, wire.ComQuery}, bytes.Repeat([]byte(" "), 32<<20)...))
	lies := map[string][]byte{
		"longer than it says":             compressedPacket(deflated(query), len(query)-1),
		"shorter than it says":            compressedPacket(deflated(query), len(query)+1),
		"32 MiB that are said to be 16":   compressedPacket(bomb, 1<<24-1),
		"32 MiB that are said to be 1":    compressedPacket(bomb, 1),
		"not compressed":                  compressedPacket(query, len(query)),
		"nothing":                         {0, 0, 0, 0, 0, 0, 0},
		"nothing of 16 MiB":               {0, 0, 0, 0, 0xff, 0xff, 0xff},
		"16 MiB announced, and no more":   {0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 1, 2, 3},
		"16 MiB announced, 2 MiB come":    append([]byte{0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff}, make([]byte, 2<<20)...),
		"a wrong checksum":                compressedPacket(append(deflated(query)[:len(deflated(query))-1], 0xEE), len(query)),
		"a number out of order in packet": compressedPacket(deflated(wire.AppendPacket(nil, 9, []byte{wire.ComPing})), 5),
	}
	algorithms := []wire.Capability{wire.ClientCompress}
	if f == mysqltest.MySQL {
		algorithms = append(algorithms, wire.ClientZstd)
		window := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8}, make([]byte, 100)...) // a frame with a window of 2^41 bytes
		lies["a window without bounds"] = compressedPacket(window, 1<<24-1)
	}
	before := usageOf(t, s)
	var wg sync.WaitGroup
	for name, lie := range lies {
		for _, algorithm := range algorithms {
			wg.Go(func() {
				for range 4 {
					p, err := loginPeer(s.Primary, algorithm)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					_, _ = p.Write(lie)
					if tcp, ok := p.Conn.(*net.TCPConn); ok {
						_ = tcp.CloseWrite() // nothing more comes
					}
					closes(t, name, p)
				}
			})
		}
	}
	wg.Wait()
	if now := usageOf(t, s); now.rssMB > before.rssMB+slackMB {
		t.Errorf("memory grew from %d to %d MiB", before.rssMB, now.rssMB)
	}
}
