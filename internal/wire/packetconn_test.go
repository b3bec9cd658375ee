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

// TestPacketConnTakesMemoryAsBytesCome: a header alone must not cost what it announces.
func TestPacketConnTakesMemoryAsBytesCome(t *testing.T) {
	for _, sent := range []int{0, 1, firstBody, firstBody + 1, 5000, MaxLoginPacket - 1} {
		a, b := pipe(t)
		payload := bytes.Repeat([]byte("0123456789"), MaxLoginPacket/10+1)[:MaxLoginPacket]
		packet := AppendPacket(nil, 0, payload)
		go func() {
			_, _ = a.Write(packet[:HeaderSize+sent])
			_ = a.Close()
		}()
		p := NewPacketConn(b)
		if _, err := p.ReadPacket(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", sent, err)
		}
		if cap(p.buf) > max(2*sent, firstBody) {
			t.Errorf("%d bytes for %d that came", cap(p.buf), sent)
		}
		c, d := pipe(t)
		go func() { _, _ = c.Write(append(packet, AppendPacket(nil, 1, []byte("next"))...)) }()
		p = NewPacketConn(d)
		if got, err := p.ReadPacket(); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes came, %v", len(got), err)
		}
		if got, err := p.ReadPacket(); err != nil || string(got) != "next" {
			t.Errorf("then %q, %v", got, err)
		}
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
