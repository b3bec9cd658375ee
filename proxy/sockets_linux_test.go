package proxy

import (
	"net"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/sockopt"
)

// TestVanishedPeersAreGivenUp: keepalive and TCP_USER_TIMEOUT are in force on both connections of a session, also after a
// move.
func TestVanishedPeersAreGivenUp(t *testing.T) {
	servers := sockopt.Options{KeepAlive: 40 * time.Second, UserTimeout: 21 * time.Second}
	dialer := backend.New(backend.Config{TCP: servers, Logger: zerolog.Nop()})
	t.Cleanup(dialer.Close)
	bed := newTestbed(t, func(c *Config) {
		c.ClientTCP = sockopt.Options{KeepAlive: 60 * time.Second, UserTimeout: 32 * time.Second}
		c.Dialer = dialer
	})
	c := bed.client()
	c.wantAt("a")
	look := func() {
		t.Helper()
		bed.cluster.each(func(s *clientSession) {
			wantSocket(t, "the client's", s.clientTC, 30, 32000)
			wantSocket(t, "the server's", s.where.Load().conn.Conn, 20, 21000)
		})
	}
	look()
	bed.move()
	c.wantAt("b")
	look()
}

// wantSocket checks when a connection begins to ask whether its peer is there, in seconds, and how long data may be under
// way, in milliseconds.
func wantSocket(t *testing.T, whose string, conn net.Conn, idle, timeout int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		for option, want := range map[int]int{unix.TCP_KEEPIDLE: idle, unix.TCP_USER_TIMEOUT: timeout} {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option); err != nil || got != want {
				t.Errorf("%s connection: option %d is %d, want %d (%v)", whose, option, got, want, err)
			}
		}
		if on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE); err != nil || on != 1 {
			t.Errorf("%s connection: keepalive is %d (%v)", whose, on, err)
		}
	})
}
