//go:build linux

package sockopt

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestApply(t *testing.T) {
	conn := loopback(t)
	Apply(tls.Client(conn, nil), Options{KeepAlive: time.Minute, UserTimeout: 42 * time.Second}) // through the layer above
	want := map[int]int{unix.TCP_KEEPIDLE: 30, unix.TCP_KEEPINTVL: 10, unix.TCP_KEEPCNT: 3, unix.TCP_USER_TIMEOUT: 42000}
	for option, value := range want {
		if got := get(t, conn, unix.IPPROTO_TCP, option); got != value {
			t.Errorf("option %d is %d, want %d", option, got, value)
		}
	}
	SetUserTimeout(conn, 0)
	if got := get(t, conn, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); got != 0 {
		t.Errorf("user timeout %d after it was switched off", got)
	}
	Apply(conn, Options{})
	if get(t, conn, unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 0 {
		t.Error("keepalive stays on")
	}
}

// What is not delivered must not be delivered later: the peer gets less than was written, and no orderly end.
func TestReset(t *testing.T) {
	conn := loopback(t)
	peer := <-accepted
	_ = conn.SetWriteBuffer(1 << 20)
	_ = peer.SetReadBuffer(4 << 10)
	written := 0
	_ = conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for {
		n, err := conn.Write(make([]byte, 64<<10))
		if written += n; err != nil {
			break
		}
	}
	Reset(tls.Client(conn, nil))
	n, err := io.Copy(io.Discard, peer)
	if !errors.Is(err, unix.ECONNRESET) || int(n) >= written {
		t.Errorf("the peer got %d of %d bytes, and %v", n, written, err)
	}
	Reset(conn) // again
	a, b := net.Pipe()
	Reset(a)
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that is not TCP was not closed")
	}
}

// accepted are the peers of the connections that loopback gives.
var accepted = make(chan *net.TCPConn, 1)

func loopback(t *testing.T) *net.TCPConn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	select {
	case <-accepted: // nobody wanted it
	default:
	}
	accepted <- peer.(*net.TCPConn)
	return conn.(*net.TCPConn)
}

func get(t *testing.T, conn *net.TCPConn, level, option int) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, option) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return value
}
