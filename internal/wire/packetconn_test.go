package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

func pipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	a, b = net.Pipe()
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
	})
	return a, b
}

func TestPacketConnConverses(t *testing.T) {
	a, b := pipe(t)
	client, server := NewPacketConn(a), NewPacketConn(b)
	go func() {
		for i := range 300 { // beyond the wrap of the sequence number
			_ = client.WritePacket(bytes.Repeat([]byte{byte(i)}, i))
			_, _ = client.ReadPacket()
		}
	}()
	for i := range 300 {
		got, err := server.ReadPacket()
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, i)) {
			t.Fatalf("packet %d: %d bytes, %v", i, len(got), err)
		}
		if err := server.WritePacket(nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPacketConnReadsNoFurther(t *testing.T) {
	a, b := pipe(t)
	go func() { _, _ = a.Write([]byte{2, 0, 0, 0, 'a', 'b', 'c', 'd'}) }()
	got, err := NewPacketConn(b).ReadPacket()
	if err != nil || string(got) != "ab" {
		t.Fatalf("got %q, %v", got, err)
	}
	rest := make([]byte, 2)
	if _, err := io.ReadFull(b, rest); err != nil || string(rest) != "cd" {
		t.Fatalf("got %q, %v", rest, err)
	}
}

func TestPacketConnRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		sent []byte
		want any
	}{
		"too large":     {[]byte{0xff, 0xff, 0xff, 0}, new(*TooLargeError)},
		"out of order":  {[]byte{1, 0, 0, 1, 'x'}, new(*SequenceError)},
		"cut payload":   {[]byte{2, 0, 0, 0, 'x'}, nil},
		"cut header":    {[]byte{2, 0}, nil},
		"garbage bytes": {[]byte("GET / HTTP/1.1\r\n"), new(*TooLargeError)},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pipe(t)
			go func() {
				_, _ = a.Write(c.sent)
				_ = a.Close()
			}()
			_, err := NewPacketConn(b).ReadPacket()
			if c.want == nil {
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("got %v", err)
				}
			} else if !errors.As(err, c.want) {
				t.Fatalf("got %v", err)
			}
		})
	}
}
