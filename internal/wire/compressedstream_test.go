package wire

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
)

// loop is a connection that gives what was written to it.
type loop struct {
	net.Conn
	bytes.Buffer
}

func (l *loop) Read(b []byte) (int, error)  { return l.Buffer.Read(b) }
func (l *loop) Write(b []byte) (int, error) { return l.Buffer.Write(b) }

// outers gives the numbers of compressed packets, of which none is compressed.
func outers(t *testing.T, b []byte) (list []byte) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < compressedHeader || len(b) < compressedHeader+PayloadLen(b) {
			t.Fatalf("%q is left", b)
		}
		list = append(list, b[3])
		b = b[compressedHeader+PayloadLen(b):]
	}
	return list
}

// TestStreamBeginsAnew: events to a replica that acknowledges some of them, cut anywhere. Recorded from MySQL 9.7 and
// MariaDB 10.11: behind an event that is acknowledged the numbers begin anew.
func TestStreamBeginsAnew(t *testing.T) {
	var events []byte
	for _, number := range []byte{1, 2, 3, 1, 2, 1, 1, 2} {
		events = AppendPacket(events, number, []byte{0, 0xef, number})
	}
	for _, mysql := range []bool{true, false} {
		anew := byte(1)
		if mysql {
			anew = 0
		}
		for cut := range len(events) + 1 {
			pipe := &loop{}
			proxy := NewCompressed(pipe, Zlib, 0, true)
			pipe.Buffer.Write(uncompressed(0, AppendPacket(nil, 0, []byte{ComBinlogDump})))
			if _, err := io.ReadFull(proxy, make([]byte, HeaderSize+1)); err != nil {
				t.Fatal(err)
			}
			proxy.Stream(mysql)
			for _, part := range [][]byte{events[:cut], events[cut:]} {
				if n, err := proxy.Write(part); n != len(part) || err != nil {
					t.Fatalf("%d of %d bytes, %v", n, len(part), err)
				}
			}
			sent := bytes.Clone(pipe.Bytes())
			numbers := outers(t, sent)
			begun := 0
			for i, n := range numbers {
				if i > 0 && n == anew && n != numbers[i-1]+1 {
					begun++
				} else if i > 0 && n != numbers[i-1]+1 {
					t.Errorf("cut at %d: numbers %v", cut, numbers)
				}
			}
			if begun != 3 || numbers[0] != 1 {
				t.Errorf("cut at %d: numbers %v", cut, numbers)
			}
			// A proxy that reads this from a server finds the numbers that it would have without compression.
			server := &loop{}
			reader := NewCompressed(server, Zlib, 0, false)
			if _, err := reader.Write(AppendPacket(nil, 0, []byte{ComBinlogDump})); err != nil {
				t.Fatal(err)
			}
			server.Reset()
			reader.Stream(mysql)
			server.Buffer.Write(sent)
			got, _ := io.ReadAll(reader)
			if !bytes.Equal(got, events) {
				t.Errorf("cut at %d: read %x, want %x", cut, got, events)
			}
			server.Reset()
			for range 3 { // acknowledgements
				if _, err := reader.Write(AppendPacket(nil, 0, []byte{0xef})); err != nil {
					t.Fatal(err)
				}
			}
			if got := outers(t, server.Bytes()); !slices.Equal(got, []byte{0, 0, 0}) {
				t.Errorf("acknowledgements have the numbers %v", got)
			}
		}
	}
}

// uncompressed is a compressed packet that is not compressed.
func uncompressed(number byte, plain []byte) []byte {
	return append([]byte{byte(len(plain)), byte(len(plain) >> 8), byte(len(plain) >> 16), number, 0, 0, 0}, plain...)
}
