package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// watched calls check before each read.
type watched struct {
	net.Conn
	check func()
}

func (w *watched) Read(b []byte) (int, error) {
	w.check()
	return w.Conn.Read(b)
}

func TestIdleTLSEndpointHoldsNoBuffer(t *testing.T) {
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	e, peer := pipe(t)
	waits := 0
	secure := tls.Server(&watched{e.conn, func() {
		if waits++; e.buf.data != nil && len(e.buf.bytes()) == 0 {
			t.Error("it waits with a buffer")
		}
	}}, keys.ServerTLS())
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	done := make(chan error, 1)
	go func() { done <- client.HandshakeContext(t.Context()) }()
	if err := errors.Join(secure.HandshakeContext(t.Context()), <-done); err != nil {
		t.Fatal(err)
	}
	e.open(secure)
	_ = secure.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := e.fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	_ = secure.SetReadDeadline(time.Time{})

	want := bytes.Repeat([]byte("0123456789"), 20_000)
	go func() {
		_, _ = client.Write(want[:1]) // a record of one byte
		_, _ = client.Write(want[1:])
		_ = client.Close()
	}()
	var got []byte
	waits = 0
	for {
		if err := e.fill(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		got = append(got, e.buf.bytes()...)
		e.buf.consume(len(e.buf.bytes()))
		e.buf.giveBack()
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes of %d", len(got), len(want))
	}
	if waits == 0 {
		t.Error("nothing was watched")
	}
}
