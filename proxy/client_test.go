package proxy

import (
	"crypto/sha1"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/onewriter/onewriter/internal/wire"
)

// login answers a greeting as user app, with more capabilities than a plain client if there are some.
func (b *testbed) login(pc *wire.PacketConn, greeting []byte, more ...wire.Capability) {
	b.t.Helper()
	if p := b.loginReply(pc, greeting, more...); p[0] != wire.HeaderOK {
		b.t.Fatalf("login: %q", p)
	}
}

// loginReply is login with whatever comes of it.
func (b *testbed) loginReply(pc *wire.PacketConn, greeting []byte, more ...wire.Capability) []byte {
	b.t.Helper()
	g, err := wire.ParseGreeting(greeting)
	if err != nil {
		b.t.Fatal(err)
	}
	stage1 := sha1.Sum([]byte("secret"))
	stage2 := sha1.Sum(stage1[:])
	mix := sha1.Sum(append(g.Salt[:], stage2[:]...))
	for i := range mix {
		mix[i] ^= stage1[i]
	}
	r := wire.HandshakeResponse{
		Capabilities: wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientDeprecateEOF,
		Charset:      45, User: "app", Auth: mix[:], Plugin: "mysql_native_password",
	}
	for _, c := range more {
		r.Capabilities |= c
	}
	if err := pc.WritePacket(r.AppendTo(nil)); err != nil {
		b.t.Fatal(err)
	}
	p, err := pc.ReadPacket()
	if err != nil || len(p) == 0 {
		b.t.Fatalf("login: %q, %v", p, err)
	}
	return p
}

// rawLogin is a connection of user app without a client library.
func (b *testbed) rawLogin(more ...wire.Capability) net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	pc := wire.NewPacketConn(conn)
	greeting, err := pc.ReadPacket()
	if err != nil {
		b.t.Fatal(err)
	}
	b.login(pc, greeting, more...)
	return conn
}

// ended reads until the proxy hangs up and gives what came before.
func ended(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(conn)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Fatal("the proxy does not hang up")
	}
	return b
}

func TestClientThatBreaksTheProtocol(t *testing.T) {
	for name, b := range map[string][]byte{
		"wrong sequence number":    {1, 0, 0, 5, wire.ComPing},
		"close without id":         {2, 0, 0, 0, wire.ComStmtClose, 1},
		"change user with garbage": {3, 0, 0, 0, wire.ComChangeUser, 0xFF, 0xFF},
		"oversized change user":    {0xFF, 0xFF, 0xFE, 0, wire.ComChangeUser, 'x'},
	} {
		t.Run(name, func(t *testing.T) {
			bed := newTestbed(t, nil)
			conn := bed.rawLogin()
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			if tcp, ok := conn.(*net.TCPConn); ok && name == "oversized change user" {
				_ = tcp.CloseWrite()
			}
			ended(t, conn)
			bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
			bed.client().wantAt("a")
		})
	}
}

// TestCommandsBetweenServers: they are refused, and the session goes on.
func TestCommandsBetweenServers(t *testing.T) {
	bed := newTestbed(t, nil)
	conn := bed.rawLogin()
	pc := wire.NewPacketConn(conn)
	for _, command := range []byte{wire.ComClone, wire.ComSubscribeGroup} {
		pc.SetSequence(0)
		if err := pc.WritePacket([]byte{command, 1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		p, err := pc.ReadPacket()
		if e, perr := wire.ParseErr(p); err != nil || perr != nil || e.Code != erUnknownCom {
			t.Errorf("%s: %q, %v", wire.CommandName(command), p, err)
		}
	}
	pc.SetSequence(0)
	if err := pc.WritePacket([]byte{wire.ComPing}); err != nil {
		t.Fatal(err)
	}
	if p, err := pc.ReadPacket(); err != nil || p[0] != wire.HeaderOK {
		t.Errorf("the session does not go on: %q, %v", p, err)
	}
}

func TestClientThatNeverLogsIn(t *testing.T) {
	for name, b := range map[string][]byte{
		"says nothing": nil,
		"five bytes":   {100, 0, 0, 1, 0x85},
		"garbage":      []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"huge login":   {0xFF, 0xFF, 0xFF, 1, 0, 0, 0},
		"wrong number": {4, 0, 0, 9, 1, 2, 3, 4},
		"pre-4.1":      {5, 0, 0, 1, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bed := newTestbed(t, func(c *Config) { c.HandshakeTimeout = 100 * time.Millisecond })
			conn, err := net.Dial("tcp", bed.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			ended(t, conn)
			bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
		})
	}
}

func TestShutdown(t *testing.T) {
	bed := newTestbed(t, nil)
	idle, busy := bed.client(), bed.client()
	idle.must("DO 1")
	busy.must("BEGIN")
	raw, err := net.Dial("tcp", bed.addr()) // in its handshake
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	stopped := make(chan struct{})
	go func() { bed.stop(); close(stopped) }()
	bed.eventually("the idle session ends", func() bool { return bed.cluster.SessionsOn("a") == 1 })
	busy.must("INSERT 1")
	busy.must("COMMIT")
	busy.wantClosed()
	idle.wantClosed()
	<-stopped
	if n := bed.cluster.Count(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestShutdownCutsOpenTransactions(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("BEGIN")
	bed.stop()
	c.wantClosed()
}

// The end of the grace period ends the wait for a server that cannot be reached, too.
func TestShutdownWhileThePrimaryCannotBeReached(t *testing.T) {
	registry := prometheus.NewRegistry()
	bed := newTestbed(t, func(c *Config) { c.HoldTimeout, c.Metrics = time.Minute, NewMetrics(registry, "test") })
	c := bed.client()
	c.must("DO 1")
	bed.a.Close()
	time.Sleep(peekAfter + 20*time.Millisecond)
	done := make(chan error, 1)
	go func() { done <- c.exec("INSERT 1") }()
	bed.eventually("the session tries", func() bool {
		return scrape(t, registry)(`onewriter_session_moves_total{cluster="test",outcome="unreachable"}`) > 0
	})
	bed.stop()
	if err := <-done; err == nil {
		t.Error("executed nowhere, and no error")
	}
}

// What is held at the gate when the proxy stops is not told that it was held for too long.
func TestShutdownDuringAHold(t *testing.T) {
	registry := prometheus.NewRegistry()
	bed := newTestbed(t, func(c *Config) { c.HoldTimeout, c.Metrics = time.Minute, NewMetrics(registry, "test") })
	c := bed.client()
	bed.cluster.Hold("test")
	done := make(chan error, 1)
	go func() { done <- c.exec("INSERT 1") }()
	bed.eventually("the client waits", func() bool { return bed.cluster.Held() == 1 })
	bed.stop()
	if err := <-done; err == nil {
		t.Error("executed nowhere, and no error")
	}
	get := scrape(t, registry)
	if got := get(`onewriter_client_errors_total{cluster="test",code="1053"}`); got != 1 || get(`onewriter_client_errors_total{cluster="test",code="1290"}`) > 0 {
		t.Error("not told of the shutdown")
	}
}
