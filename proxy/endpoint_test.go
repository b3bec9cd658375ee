package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pipe is an endpoint and its peer on loopback.
func pipe(t *testing.T) (*asker, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close(); _ = conn.Close() })
	e := new(asker)
	e.open(conn)
	return e, peer.(*net.TCPConn)
}

func TestIdleEndpointHoldsNoBuffer(t *testing.T) {
	e, peer := pipe(t)
	_ = e.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := e.fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if e.buf.data != nil {
		t.Error("it waits with a buffer")
	}
	_ = e.conn.SetReadDeadline(time.Time{})
	if _, err := peer.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := e.fill(); err != nil || string(e.buf.bytes()) != "abc" {
		t.Fatalf("%q, %v", e.buf.bytes(), err)
	}
	_ = e.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := e.fill(); !errors.Is(err, os.ErrDeadlineExceeded) || string(e.buf.bytes()) != "abc" {
		t.Errorf("%q, %v", e.buf.bytes(), err)
	}
}

func TestEndpointGrowsWithTheFlow(t *testing.T) {
	e, peer := pipe(t)
	want := bytes.Repeat([]byte("0123456789"), 200_000)
	go func() {
		_, _ = peer.Write(want)
		_ = peer.Close()
	}()
	var got []byte
	class := 0
	for {
		err := e.fill()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		class = max(class, e.buf.class)
		n := len(e.buf.bytes()) * 2 / 3
		n = max(n, 1)
		got = append(got, e.buf.bytes()[:n]...)
		e.buf.consume(n)
	}
	got = append(got, e.buf.bytes()...)
	if !bytes.Equal(got, want) || class == 0 {
		t.Errorf("%d bytes, want %d; class %d", len(got), len(want), class)
	}
}

func TestEndpointBoundsWhatMustBeWhole(t *testing.T) {
	e, peer := pipe(t)
	go func() { _, _ = peer.Write(make([]byte, 2*wholeBuffer)) }()
	var err error
	for err == nil {
		err = e.fill()
	}
	if !errors.Is(err, errBufferFull) {
		t.Error(err)
	}
}

func TestQuietAndGone(t *testing.T) {
	e, peer := pipe(t)
	if !e.quiet() || e.gone() {
		t.Error("an idle connection is neither")
	}
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return !e.quiet() })
	if e.gone() {
		t.Error("gone with a byte to read")
	}
	if err := e.fill(); err != nil {
		t.Fatal(err)
	}
	if e.quiet() {
		t.Error("quiet with a byte that nobody asked for")
	}
	e.buf.consume(1)
	if !e.quiet() {
		t.Error("not quiet")
	}
	_ = peer.Close()
	wait(t, func() bool { return e.gone() && !e.quiet() })
	e.close()
	if e.quiet() || !e.gone() || !errors.Is(e.fill(), net.ErrClosed) {
		t.Error("closed by ourselves")
	}
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time")
		}
	}
}

func TestEndpointReset(t *testing.T) {
	e, peer := pipe(t)
	_ = peer.SetLinger(0)
	_ = peer.Close()
	wait(t, func() bool { return e.gone() && !e.quiet() })
	if e.fill() == nil {
		t.Error("read from a reset connection")
	}
}
