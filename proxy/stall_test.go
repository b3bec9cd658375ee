package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/session"
)

// stall is short for a test, and long enough for a machine that is busy.
const stall = 200 * time.Millisecond

func TestHalfACommand(t *testing.T) {
	statement := append([]byte{wire.ComQuery}, make([]byte, 100_000)...)
	whole := wire.AppendPacket(nil, 0, statement)
	for name, n := range map[string]int{"header": 3, "beginning": 10, "most of it": len(whole) - 1} {
		t.Run(name, func(t *testing.T) {
			bed := newTestbed(t, func(c *Config) { c.Limits.StallTimeout = stall })
			conn := bed.rawLogin()
			if _, err := conn.Write(whole[:n]); err != nil {
				t.Fatal(err)
			}
			b := ended(t, conn)
			if len(b) < wire.HeaderSize || !wire.IsErr(b[wire.HeaderSize:]) {
				t.Fatalf("got %q", b)
			}
			if e, err := wire.ParseErr(b[wire.HeaderSize:]); err != nil || e.Code != erReadTimeout {
				t.Errorf("got %v, %v; want %d", e, err, erReadTimeout)
			}
			bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
			bed.settled()
		})
	}
}

// A compressed packet is kept until it is there as a whole, before anything of a command can be read.
func TestHalfACompressedPacket(t *testing.T) {
	for name, b := range map[string][]byte{
		"header":         {0xFF, 0xFF, 0xFE, 0, 0xFF, 0xFF, 0xFF},
		"beginning":      append([]byte{0xFF, 0xFF, 0xFE, 0, 0xFF, 0xFF, 0xFF}, make([]byte, 100_000)...),
		"not compressed": {10, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bed := newTestbed(t, func(c *Config) { c.Limits.StallTimeout = stall })
			conn := bed.rawLogin(wire.ClientCompress)
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			ended(t, conn)
			bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
			bed.settled()
		})
	}
}

// A command that comes in pieces, each in time, takes as long as it takes; nudges in between do no harm.
func TestSlowCommand(t *testing.T) {
	const stall = 5 * stall // a pause of the machine is not the client's
	bed := newTestbed(t, func(c *Config) { c.Limits.StallTimeout = stall })
	conn := bed.rawLogin()
	for _, b := range wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, "INSERT 1"...)) {
		if _, err := conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stall / 10)
		bed.cluster.nudgeAll()
	}
	bed.a.Await("INSERT 1")
}

func TestIdleForLongerThanAStall(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	long := "DO 2 /* "
	for range 500 {
		long += strconv.FormatUint(random.Uint64(), 36)
	}
	long += " */"
	for name, change := range map[string]func(*mysql.Config){
		"plain":      func(*mysql.Config) {},
		"compressed": func(c *mysql.Config) { _ = c.Apply(mysql.EnableCompression(true)) },
	} {
		t.Run(name, func(t *testing.T) {
			bed := newTestbed(t, func(c *Config) { c.Limits.StallTimeout = stall / 2 })
			c := bed.clientAt(0, change)
			c.must("DO 1")
			time.Sleep(stall)
			c.must(long) // more than is read together with a header
			time.Sleep(stall)
			c.must("DO 3")
		})
	}
}

// narrow is rawLogin on a connection with small buffers.
func (b *testbed) narrow() net.Conn {
	conn := b.rawLogin()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	b.eventually("there is a session", func() bool { return b.cluster.Count() == 1 })
	b.cluster.each(func(s *clientSession) { _ = s.clientTC.(*net.TCPConn).SetWriteBuffer(4096) })
	return conn
}

// neverRead sends statements and reads no answer, until the proxy hangs up.
func neverRead(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
	ask := wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, "SELECT name"...))
	many := []byte{}
	for range 100 {
		many = append(many, ask...)
	}
	for {
		_, err := conn.Write(many)
		if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
			t.Fatal("the proxy waits for ever")
		}
		if err != nil {
			return
		}
	}
}

func TestClientThatNeverReads(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Limits.StallTimeout = stall })
	conn := bed.narrow()
	neverRead(t, conn)
	bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
	bed.settled()
}

// A client that reads a little in each stall timeout keeps its session.
func TestSlowReader(t *testing.T) {
	const stall = 3 * stall // a pause of the machine is not the client's
	bed := newTestbed(t, func(c *Config) { c.Limits.StallTimeout = stall })
	conn := bed.narrow()
	written := make(chan struct{})
	go func() { defer close(written); neverRead(t, conn) }()
	buf := make([]byte, 64<<10)
	for began := time.Now(); time.Since(began) < 3*stall; {
		if _, err := conn.Read(buf); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stall / 20)
	}
	if bed.cluster.Count() != 1 {
		t.Error("the session has ended")
	}
	_ = conn.Close()
	<-written
}

func TestIdleSessionsEnd(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Limits.IdleTimeout = stall })
	b := ended(t, bed.rawLogin())
	if len(b) < wire.HeaderSize || !wire.IsErr(b[wire.HeaderSize:]) {
		t.Fatalf("got %q", b)
	}
	if e, err := wire.ParseErr(b[wire.HeaderSize:]); err != nil || e.Code != erIdle {
		t.Errorf("got %v, %v; want %d", e, err, erIdle)
	}
	bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
	bed.settled()
	if e := errIdle(session.MariaDB, time.Hour); e.code != erKilled || e.state != "70100" {
		t.Errorf("MariaDB: %+v", e)
	}
}

func TestBusySessionsAreNotIdle(t *testing.T) {
	bed := newTestbed(t, func(c *Config) { c.Limits.IdleTimeout = stall })
	c := bed.client()
	bed.a.Silence("SLEEP")
	slept := make(chan error, 1)
	go func() { slept <- c.exec("SLEEP") }()
	bed.a.Await("SLEEP")
	select {
	case err := <-slept:
		t.Errorf("the session was ended in the middle of a statement: %v", err)
	case <-time.After(3 * stall):
		bed.a.Cut()
		<-slept
	}
}

func TestSlowTLSHandshake(t *testing.T) {
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	bed := newTestbed(t, func(c *Config) {
		c.HandshakeTimeout = stall
		c.Listeners[0].TLS = keys.ServerTLS()
	})
	pc, g, _ := bed.greeted()
	r := wire.HandshakeResponse{Capabilities: g.Capabilities, Charset: 45}
	if err := pc.WritePacket(wire.AppendSSLRequest(nil, r)); err != nil {
		t.Fatal(err)
	}
	trickle := &trickler{Conn: pc.Conn(), pause: stall / 50}
	err = tls.Client(trickle, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()) //nolint:gosec // a test
	if err == nil {
		t.Error("a handshake of a byte at a time was waited for")
	}
	bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
	bed.settled()
}

// trickler writes one byte at a time.
type trickler struct {
	net.Conn
	pause time.Duration
}

func (t *trickler) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := t.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
		time.Sleep(t.pause)
	}
	return len(b), nil
}

// With no descriptor left, a client is told so by means of the one in reserve.
func TestShed(t *testing.T) {
	bed := newTestbed(t, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l := &Listener{cluster: bed.cluster, ln: ln}
	if l.shed() || l.reserve.file == nil {
		t.Fatal("shed without a reserve, or got none")
	}
	defer l.reserve.give()
	if l.shed() { // nobody is there
		t.Error("told nobody")
	}
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !l.shed() || l.reserve.file == nil {
		t.Error("the client was not told, or the reserve is lost")
	}
	b, err := io.ReadAll(conn)
	if err != nil || len(b) < 7 || b[4] != 0xFF {
		t.Fatalf("got %q, %v", b, err)
	}
	if e, err := wire.ParseErr(b[wire.HeaderSize:]); err != nil || e.Code != erConCount {
		t.Errorf("got %v, %v", e, err)
	}
}
