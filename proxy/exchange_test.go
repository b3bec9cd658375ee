package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// held gives a buffer that holds b, as a command waits to be sent.
func held(b []byte) *buffer {
	buf := &buffer{}
	for buf.borrow(); len(buf.free()) < len(b); {
		buf.grow()
	}
	buf.end = copy(buf.free(), b)
	return buf
}

// TestExchangeWakes answers at moments all around that of the wait.
func TestExchangeWakes(t *testing.T) {
	e, peer := pipe(t)
	_ = e.conn.SetReadDeadline(time.Now().Add(20 * patience))
	const rounds = 3000
	go func() {
		b := make([]byte, 4)
		for i := range rounds {
			if _, err := io.ReadFull(peer, b); err != nil {
				return
			}
			for began := time.Now(); time.Since(began) < time.Duration(i%60)*time.Microsecond; {
			}
			if i%3 == 0 { // in two pieces
				_, _ = peer.Write(b[:2])
				_, _ = peer.Write(b[2:])
			} else {
				_, _ = peer.Write(b)
			}
		}
	}()
	for i := range rounds {
		command := []byte{byte(i), byte(i >> 8), 3, 4}
		from := held(command)
		err := e.exchange(from.bytes(), from, 4)
		if from.data != nil {
			t.Fatal("the buffer of a command that was sent is kept")
		}
		for err == nil && len(e.buf.bytes()) < 4 {
			err = e.fill()
		}
		if err != nil || !bytes.Equal(e.buf.bytes(), command) {
			t.Fatalf("round %d: %q, %v", i, e.buf.bytes(), err)
		}
		e.buf.use(4)
	}
}

// TestExchangeWithAPeerThatIsGone must not wait for the answer of somebody who has hung up before, with or without a
// good-bye.
func TestExchangeWithAPeerThatIsGone(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"close":    func(c *net.TCPConn) { _ = c.Close() },
		"reset":    func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"good-bye": func(c *net.TCPConn) { _, _ = c.Write([]byte("4031")); _ = c.Close() },
	} {
		for range 50 {
			e, peer := pipe(t)
			leave(peer)
			_ = e.conn.SetReadDeadline(time.Now().Add(patience))
			from := held([]byte("command"))
			err := e.exchange(from.bytes(), from, 7)
			for err == nil {
				e.buf.use(len(e.buf.bytes()))
				err = e.fill()
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s: waits for an answer", name)
			}
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Fatalf("%s: %v", name, err)
			}
			if from.data != nil {
				t.Fatalf("%s: the command is kept", name)
			}
			e.close()
		}
	}
}

// TestExchangeOfMoreThanTheSocketTakes sends in several pieces.
func TestExchangeOfMoreThanTheSocketTakes(t *testing.T) {
	e, peer := pipe(t)
	_ = e.conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
	command := bytes.Repeat([]byte("0123456789abcdef"), 60<<10)
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, len(command))
		_, _ = io.ReadFull(peer, b)
		got <- b
		_, _ = peer.Write([]byte("ok"))
	}()
	from := held(command)
	if err := e.exchange(from.bytes(), from, len(command)); err != nil || string(e.buf.bytes()) != "ok" {
		t.Fatalf("%q, %v", e.buf.bytes(), err)
	}
	if !bytes.Equal(<-got, command) {
		t.Error("the peer got something else")
	}
}

func TestExchangeEndsWithTheConnection(t *testing.T) {
	e, _ := pipe(t)
	from := held([]byte("command"))
	conn := e.conn
	timer := time.AfterFunc(20*time.Millisecond, func() { _ = conn.Close() }) // as abort does
	defer timer.Stop()
	if err := e.exchange(from.bytes(), from, 7); err == nil {
		t.Error("a closed connection has answered")
	}
	if from.data != nil {
		t.Error("the command is kept")
	}
}
