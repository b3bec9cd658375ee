package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLeft sees that a client has hung up, with TLS too, and does not mistake a command for that.
func TestLeft(t *testing.T) {
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	ping := []byte{1, 0, 0, 0, 14}
	for _, c := range []struct {
		name    string
		version uint16 // of TLS, 0 for none
		send    []byte
		hangUp  bool
		want    bool
	}{
		{name: "silent"},
		{name: "hung up", hangUp: true, want: true},
		{name: "a command", send: ping},
		{name: "a command, then hung up", send: ping, hangUp: true},
		{name: "TLS 1.2, silent", version: tls.VersionTLS12},
		{name: "TLS 1.2, hung up", version: tls.VersionTLS12, hangUp: true, want: true},
		{name: "TLS 1.2, a command", version: tls.VersionTLS12, send: ping},
		{name: "TLS 1.3, silent", version: tls.VersionTLS13},
		{name: "TLS 1.3, hung up", version: tls.VersionTLS13, hangUp: true, want: true},
		{name: "TLS 1.3, a command", version: tls.VersionTLS13, send: ping},
		{name: "TLS 1.3, a command, then hung up", version: tls.VersionTLS13, send: ping, hangUp: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, peer := pipe(t)
			var client net.Conn = peer
			if c.version != 0 {
				secure := tls.Server(e.conn, keys.ServerTLS())
				client = tls.Client(peer, &tls.Config{InsecureSkipVerify: true, MinVersion: c.version, MaxVersion: c.version}) //nolint:gosec // a test
				done := make(chan error, 1)
				go func() { done <- client.(*tls.Conn).HandshakeContext(t.Context()) }()
				if err := errors.Join(secure.HandshakeContext(t.Context()), <-done); err != nil {
					t.Fatal(err)
				}
			}
			if len(c.send) > 0 {
				if _, err := client.Write(c.send); err != nil {
					t.Fatal(err)
				}
			}
			if c.hangUp {
				_ = client.Close()
			}
			if len(c.send) > 0 || c.hangUp {
				awaitReadable(t, e.conn)
			}
			if got := left(e.conn); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// awaitReadable waits until there is something to read, or the end.
func awaitReadable(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000); n != 1 {
				t.Errorf("nothing came: %v", err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}
