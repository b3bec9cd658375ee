package clients

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

const peerCapabilities = wire.ClientMySQL | wire.ClientLongFlag | wire.ClientConnectWithDB | wire.ClientProtocol41 | wire.ClientTransactions |
	wire.ClientSecureConnection | wire.ClientMultiResults | wire.ClientMultiStatements | wire.ClientPSMultiResults | wire.ClientPluginAuth |
	wire.ClientDeprecateEOF | wire.ClientLocalFiles

// peer is a client connection without TLS on which tests write what they like.
type peer struct {
	net.Conn
	greeting wire.Greeting
}

// dialPeer connects and reads the greeting.
func dialPeer(addr string) (*peer, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	p := &peer{Conn: conn}
	_ = p.SetDeadline(time.Now().Add(30 * time.Second))
	payload, _, err := p.packet()
	if err == nil {
		p.greeting, err = wire.ParseGreeting(payload)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return p, nil
}

// response is a login as the application, valid for the greeting.
func (p *peer) response(more ...wire.Capability) []byte {
	auth := gomysql.CalcNativePassword(p.greeting.Salt[:], []byte(mysqltest.AppPassword))
	if p.greeting.AuthPlugin == "caching_sha2_password" {
		auth = gomysql.CalcCachingSha2Password(p.greeting.Salt[:], []byte(mysqltest.AppPassword))
	}
	r := wire.HandshakeResponse{
		Capabilities: peerCapabilities & (p.greeting.Capabilities | wire.ClientMySQL), MaxPacket: 1 << 30, Charset: 45, User: mysqltest.AppUser,
		Auth: auth, Database: "app", Plugin: p.greeting.AuthPlugin,
	}
	for _, c := range more {
		r.Capabilities |= c
	}
	return r.AppendTo(nil)
}

// loginPeer logs in as the application, whose password the proxy must know already.
func loginPeer(addr string, more ...wire.Capability) (*peer, error) {
	p, err := dialPeer(addr)
	if err != nil {
		return nil, err
	}
	if err = p.send(1, p.response(more...)); err == nil {
		err = p.admitted()
	}
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

func (p *peer) admitted() error {
	for {
		payload, _, err := p.packet()
		switch {
		case err != nil:
			return err
		case payload[0] == 1 && payload[1] == 3: // fast caching_sha2_password
		case payload[0] == 0:
			return nil
		default:
			return fmt.Errorf("login: %q", payload)
		}
	}
}

// send writes one packet.
func (p *peer) send(seq byte, payload []byte) error {
	_, err := p.Write(wire.AppendPacket(nil, seq, payload))
	return err
}

// packet reads one packet of a moderate size.
func (p *peer) packet() (payload []byte, seq byte, err error) {
	head := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(p, head); err != nil {
		return nil, 0, err
	}
	payload = make([]byte, wire.PayloadLen(head))
	if _, err := io.ReadFull(p, payload); err != nil {
		return nil, 0, err
	}
	if len(payload) == 0 {
		return nil, 0, fmt.Errorf("empty packet %d", head[3])
	}
	return payload, head[3], nil
}

// bystander is an ordinary client beside hostile ones, which must notice nothing of them.
type bystander struct {
	stop func()
	wg   sync.WaitGroup
	n    int
	err  error
}

func startBystander(t *testing.T, addr string) *bystander {
	t.Helper()
	db := openApp(t, addr, "")
	db.SetMaxOpenConns(1)
	for _, q := range []string{"CREATE TABLE IF NOT EXISTS bystander (id INT PRIMARY KEY AUTO_INCREMENT, v INT)", "DELETE FROM bystander"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	b := &bystander{}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = sync.OnceFunc(func() { cancel(); b.wg.Wait() })
	t.Cleanup(b.stop)
	b.wg.Go(func() {
		for ctx.Err() == nil && b.err == nil {
			limit, done := context.WithTimeout(context.Background(), time.Minute) // a busy machine is slow, a hanging session never ends
			var v int
			if _, b.err = db.ExecContext(limit, "INSERT INTO bystander (v) VALUES (?)", b.n); b.err == nil {
				b.err = db.QueryRowContext(limit, "SELECT COUNT(*) FROM bystander").Scan(&v)
			}
			if b.n++; b.err == nil && v != b.n {
				b.err = fmt.Errorf("%d rows, want %d", v, b.n)
			}
			done()
		}
	})
	return b
}

// end checks that the client was served all the time.
func (b *bystander) end(t *testing.T) {
	t.Helper()
	b.stop()
	if b.err != nil || b.n == 0 {
		t.Errorf("the client beside saw after %d rows: %v", b.n, b.err)
	}
}

func openApp(t *testing.T, addr, params string) *sql.DB {
	t.Helper()
	return openAs(t, mysqltest.AppUser, mysqltest.AppPassword, addr, params)
}

func openAs(t *testing.T, user, password, addr, params string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", user+":"+password+"@tcp("+addr+")/app?"+params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// usage is what the program holds.
type usage struct{ goroutines, files, rssMB int }

var usageMetric = regexp.MustCompile(`(?m)^(go_goroutines|process_resident_memory_bytes) (\S+)$`)

func usageOf(t *testing.T, s *stand.Stand) usage {
	t.Helper()
	body, err := s.Get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var u usage
	for _, m := range usageMetric.FindAllStringSubmatch(body, -1) {
		v, _ := strconv.ParseFloat(m[2], 64)
		if m[1] == "go_goroutines" {
			u.goroutines = int(v)
		} else {
			u.rssMB = int(v) >> 20
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID))
	if err != nil {
		t.Skip("no /proc")
	}
	u.files = len(files)
	if u.goroutines == 0 {
		t.Fatal("no go_goroutines among the metrics")
	}
	return u
}

// Slack is what may be kept for the next clients: greeted server connections, connections of the HTTP server, pools.
const (
	slack      = 40
	slackMB    = 150
	settleTime = 40 * time.Second
)

// settles waits until the program holds about as much as before.
func settles(t *testing.T, s *stand.Stand, before usage) {
	t.Helper()
	var now usage
	for deadline := time.Now().Add(settleTime); ; time.Sleep(200 * time.Millisecond) {
		now = usageOf(t, s)
		if now.goroutines <= before.goroutines+slack && now.files <= before.files+slack {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("it holds %+v, before the hostile peers %+v", now, before)
			return
		}
	}
	if now.rssMB > before.rssMB+slackMB {
		t.Errorf("memory grew from %d to %d MiB", before.rssMB, now.rssMB)
	}
	t.Logf("before %+v, after %+v", before, now)
}

// fuzzTime is how long random peers are played: ONEWRITER_FUZZ, 3 s by default.
func fuzzTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("ONEWRITER_FUZZ")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fuzzSeed is the seed of random peers: ONEWRITER_FUZZ_SEED, else the time. It is logged.
func fuzzSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ONEWRITER_FUZZ_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ONEWRITER_FUZZ_SEED=%d", seed)
	return seed
}

// ended reads until the other side closes; false when it does not for limit.
func ended(conn net.Conn, limit time.Duration) bool {
	_ = conn.SetReadDeadline(time.Now().Add(limit))
	_, err := io.Copy(io.Discard, conn)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}
