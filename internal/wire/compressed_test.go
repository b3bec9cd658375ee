package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/iotest"
)

// stream is a connection that reads from one place and writes to another.
type stream struct {
	net.Conn
	io.Reader
	io.Writer
}

func (s stream) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s stream) Write(p []byte) (int, error) { return s.Writer.Write(p) }

// noisy gives n bytes that do not become shorter.
func noisy(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

var compressions = []Compression{Zlib, Zstd}

// compressedPackets cuts what was written into its packets: numbers and lengths before compression.
func compressedPackets(t *testing.T, b []byte) (numbers []byte, plain []int) {
	t.Helper()
	for len(b) > 0 {
		size := PayloadLen(b)
		numbers = append(numbers, b[3])
		plain = append(plain, int(b[4])|int(b[5])<<8|int(b[6])<<16)
		b = b[compressedHeader+size:]
	}
	return numbers, plain
}

func TestCompressedRoundTrip(t *testing.T) {
	for _, alg := range compressions {
		for _, content := range [][]byte{{1}, bytes.Repeat([]byte("abcdefgh"), 6), bytes.Repeat([]byte("abcdefgh"), 100), noisy(100), noisy(70_000),
			bytes.Repeat([]byte("row "), 500_000), noisy(600_000)} {
			t.Run(fmt.Sprintf("%s %d", alg, len(content)), func(t *testing.T) {
				var wire bytes.Buffer
				client := NewCompressed(stream{Writer: &wire}, alg, 0, false)
				want := AppendPacket(nil, 0, content)
				if n, err := client.Write(want); n != len(want) || err != nil {
					t.Fatalf("wrote %d, %v", n, err)
				}
				numbers, plain := compressedPackets(t, wire.Bytes())
				for i, n := range numbers {
					if int(n) != i {
						t.Errorf("packets are numbered %v", numbers)
					}
				}
				if len(want) < minCompress && plain[0] != 0 || len(want) > 1000 && content[0] == content[4] && plain[0] == 0 {
					t.Errorf("lengths before compression are %v", plain)
				}
				for name, r := range map[string]io.Reader{"whole": bytes.NewReader(wire.Bytes()), "byte by byte": iotest.OneByteReader(bytes.NewReader(wire.Bytes()))} {
					server := NewCompressed(stream{Reader: r}, alg, 0, true)
					got, err := io.ReadAll(server)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s: read %d bytes of %d, %v", name, len(got), len(want), err)
					}
					if server.body.buf != nil || server.inflater != nil {
						t.Errorf("%s: a buffer is held", name)
					}
				}
			})
		}
	}
}

// TestCompressedNumbers plays exchanges of more than one packet. The numbers of the inner packets must come out as they
// would be without compression.
func TestCompressedNumbers(t *testing.T) {
	pipe := func() (*Compressed, *Compressed, *bytes.Buffer, *bytes.Buffer) {
		var up, down bytes.Buffer
		return NewCompressed(stream{Reader: &down, Writer: &up}, Zlib, 0, false), NewCompressed(stream{Reader: &up, Writer: &down}, Zlib, 0, true), &up, &down
	}
	send := func(t *testing.T, from, to *Compressed, payload []byte, seq, want byte) {
		t.Helper()
		if _, err := from.Write(AppendPacket(nil, seq, payload)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, HeaderSize+len(payload))
		if _, err := io.ReadFull(to, got); err != nil {
			t.Fatal(err)
		}
		if got[3] != want {
			t.Fatalf("packet is number %d, want %d", got[3], want)
		}
	}
	t.Run("commands without answers", func(t *testing.T) {
		c, s, _, _ := pipe()
		for range 300 {
			send(t, c, s, []byte{ComStmtClose}, 0, 0)
		}
	})
	t.Run("several commands in one write", func(t *testing.T) {
		c, s, up, _ := pipe()
		all := append(AppendPacket(nil, 0, []byte{ComPing}), AppendPacket(nil, 0, bytes.Repeat([]byte{ComQuery}, 1000))...)
		_, _ = c.Write(all)
		if numbers, _ := compressedPackets(t, up.Bytes()); !bytes.Equal(numbers, []byte{0, 0}) {
			t.Errorf("packets are numbered %v, want each command to begin anew", numbers)
		}
		got, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(got, all) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
	})
	t.Run("several commands in one packet of a client", func(t *testing.T) {
		var up bytes.Buffer
		all := append(AppendPacket(nil, 0, []byte{ComStmtClose}), AppendPacket(nil, 0, []byte{ComPing})...)
		up.Write(append([]byte{byte(len(all)), 0, 0, 0, 0, 0, 0}, all...))
		got, err := io.ReadAll(NewCompressed(stream{Reader: &up}, Zlib, 0, true))
		if err != nil || !bytes.Equal(got, all) {
			t.Errorf("read %x, want %x, %v", got, all, err)
		}
	})
	t.Run("long answer, then a command", func(t *testing.T) {
		for _, packets := range []int{1, 254, 255, 256, 257, 511, 512} {
			c, s, _, _ := pipe()
			send(t, c, s, []byte{ComQuery}, 0, 0)
			for i := range packets {
				send(t, s, c, []byte("row"), byte(i+1), byte(i+1))
			}
			send(t, c, s, []byte{ComQuery}, 0, 0)
			send(t, s, c, []byte{0}, 1, 1)
		}
	})
	t.Run("file", func(t *testing.T) {
		for _, before := range []int{1, 255, 256} {
			c, s, _, _ := pipe()
			send(t, c, s, []byte{ComQuery}, 0, 0)
			seq := byte(1)
			for range before {
				send(t, s, c, []byte("row"), seq, seq)
				seq++
			}
			c.Continue()
			s.Continue()
			for range 700 {
				send(t, c, s, []byte("part of the file"), seq, seq)
				seq++
			}
			send(t, s, c, []byte{0}, seq, seq)
			send(t, c, s, []byte{ComPing}, 0, 0)
		}
	})
	t.Run("numbers of the outer layer inside", func(t *testing.T) {
		// A server that sends its rows in many compressed packets numbers the inner ones after them.
		var down bytes.Buffer
		for i := range 3 {
			two := append(AppendPacket(nil, byte(i+1), []byte("row")), AppendPacket(nil, byte(i+2), []byte("row"))...)
			down.Write(append([]byte{byte(len(two)), 0, 0, byte(i + 1), 0, 0, 0}, two...))
		}
		c := NewCompressed(stream{Reader: &down, Writer: io.Discard}, Zlib, 0, false)
		_, _ = c.Write(AppendPacket(nil, 0, []byte{ComQuery}))
		got, err := io.ReadAll(c)
		for i := range 6 {
			if err != nil || got[7*i+3] != byte(i+1) {
				t.Fatalf("packet %d is number %d, %v", i, got[7*i+3], err)
			}
		}
	})
	t.Run("answer to a long command", func(t *testing.T) {
		c, s, _, down := pipe()
		long := append(AppendPacket(nil, 0, make([]byte, MaxPayload)), 1, 0, 0, 1, 'x')
		_, _ = c.Write(long)
		got := make([]byte, len(long))
		if _, err := io.ReadFull(s, got); err != nil || got[3] != 0 || got[len(got)-2] != 1 {
			t.Fatalf("%v", err)
		}
		want := s.numbers.Load() & 0xff
		_, _ = s.Write(AppendPacket(nil, 2, []byte{0}))
		if b := down.Bytes(); uint32(b[3]) != want || uint32(b[compressedHeader+3]) != want {
			t.Errorf("the answer is %x, want number %d in both layers, as servers do", b, want)
		}
		if got := make([]byte, 5); true {
			if _, err := io.ReadFull(c, got); err != nil || got[3] != 2 {
				t.Errorf("the answer is number %d, want 2, %v", got[3], err)
			}
		}
	})
}

// TestCompressedDeadline reads a packet in pieces with a deadline that passes before each of them.
func TestCompressedDeadline(t *testing.T) {
	for _, alg := range compressions {
		var b bytes.Buffer
		_, _ = NewCompressed(stream{Writer: &b}, alg, 0, false).Write(AppendPacket(nil, 0, bytes.Repeat([]byte("some text "), 3000)))
		late := true
		r := readerFunc(func(p []byte) (int, error) {
			if late = !late; !late {
				return 0, os.ErrDeadlineExceeded
			}
			return b.Read(p[:1])
		})
		c := NewCompressed(stream{Reader: r}, alg, 0, true)
		var got []byte
		buf := make([]byte, 1000)
		for {
			n, err := c.Read(buf)
			got = append(got, buf[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
		if len(got) != HeaderSize+30_000 {
			t.Errorf("%s: read %d bytes", alg, len(got))
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestCompressedMalformed(t *testing.T) {
	for _, alg := range compressions {
		var b bytes.Buffer
		_, _ = NewCompressed(stream{Writer: &b}, alg, 0, false).Write(AppendPacket(nil, 0, bytes.Repeat([]byte("some text "), 300)))
		good := b.Bytes()
		edit := func(at int, v byte) []byte {
			e := bytes.Clone(good)
			e[at] = v
			return e
		}
		for name, input := range map[string][]byte{
			"longer than announced":  edit(4, good[4]-1),
			"shorter than announced": edit(4, good[4]+1),
			"garbage":                append(bytes.Clone(good[:compressedHeader]), noisy(len(good)-compressedHeader)...),
			"empty":                  make([]byte, 100),
			"compressed and empty":   {0, 0, 0, 0, 100, 0, 0, 1, 2, 3},
		} {
			_, err := io.ReadAll(NewCompressed(stream{Reader: bytes.NewReader(input)}, alg, 0, true))
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
		for cut := 1; cut < len(good); cut++ {
			if _, err := io.ReadAll(NewCompressed(stream{Reader: bytes.NewReader(good[:cut])}, alg, 0, true)); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s: cut at %d: %v", alg, cut, err)
			}
		}
	}
}

// TestCompressedMemory: announcing much takes no memory, and what is short on the wire but long inside goes by in pieces.
func TestCompressedMemory(t *testing.T) {
	announced := append([]byte{0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff}, make([]byte, 1000)...)
	c := NewCompressed(stream{Reader: bytes.NewReader(announced)}, Zlib, 0, true)
	if _, err := c.Read(make([]byte, 100)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if len(*c.body.buf) > 64<<10 {
		t.Errorf("%d bytes are held for %d that came", len(*c.body.buf), len(announced))
	}
}

func TestCompressedAllocates(t *testing.T) {
	if testing.Short() {
		t.Skip("under the race detector, which runs with -short, pools forget what they are given")
	}
	for _, alg := range compressions {
		var up, down bytes.Buffer
		c := NewCompressed(stream{Reader: &down, Writer: &up}, alg, 0, false)
		s := NewCompressed(stream{Reader: &up, Writer: &down}, alg, 0, true)
		command := AppendPacket(nil, 0, bytes.Repeat([]byte("SELECT "), 20))
		answer := AppendPacket(nil, 1, bytes.Repeat([]byte("a row "), 200))
		buf := make([]byte, 4096)
		exchange := func() {
			_, _ = c.Write(command)
			_, _ = io.ReadFull(s, buf[:len(command)])
			_, _ = s.Write(answer)
			_, _ = io.ReadFull(c, buf[:len(answer)])
		}
		exchange()
		if n := testing.AllocsPerRun(200, exchange); n > 0 {
			t.Errorf("%s: %v allocations for an exchange", alg, n)
		}
	}
}

// FuzzCompressed feeds the bytes of a peer, whole and one by one.
func FuzzCompressed(f *testing.F) {
	for _, alg := range compressions {
		var b bytes.Buffer
		c := NewCompressed(stream{Writer: &b}, alg, 0, false)
		_, _ = c.Write(AppendPacket(nil, 0, bytes.Repeat([]byte("some text "), 30)))
		_, _ = c.Write(AppendPacket(nil, 0, []byte{ComPing}))
		f.Add(b.Bytes(), alg == Zstd, true)
		f.Add(b.Bytes(), alg == Zstd, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, zstd, toClient bool) {
		alg := Zlib
		if zstd {
			alg = Zstd
		}
		whole, err := io.ReadAll(io.LimitReader(NewCompressed(stream{Reader: bytes.NewReader(b)}, alg, 0, toClient), 1<<20))
		pieces, err2 := io.ReadAll(io.LimitReader(NewCompressed(stream{Reader: iotest.OneByteReader(bytes.NewReader(b))}, alg, 0, toClient), 1<<20))
		if !bytes.Equal(whole, pieces) || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %d bytes, %v; in pieces: %d bytes, %v", len(whole), err, len(pieces), err2)
		}
	})
}

func BenchmarkCompressed(b *testing.B) {
	for _, alg := range compressions {
		for _, size := range []int{200, 16 << 10, 256 << 10} {
			row := []byte("1234\tSome Name\tname@example.org\t2024-02-29 12:34:56\t")
			var text []byte
			for i := 0; len(text) < size; i++ {
				text = fmt.Appendf(append(text, row...), "%d\n", i*7919)
			}
			packet := AppendPacket(nil, 1, text[:size])
			b.Run(fmt.Sprintf("%s/write %d", alg, size), func(b *testing.B) {
				n := 0
				c := NewCompressed(stream{Writer: writerFunc(func(p []byte) (int, error) { n += len(p); return len(p), nil })}, alg, 0, true)
				b.SetBytes(int64(size))
				for b.Loop() {
					_, _ = c.Write(packet)
				}
				b.ReportMetric(float64(n)/float64(b.N)/float64(size), "ratio")
			})
			b.Run(fmt.Sprintf("%s/read %d", alg, size), func(b *testing.B) {
				var wire bytes.Buffer
				_, _ = NewCompressed(stream{Writer: &wire}, alg, 0, true).Write(packet)
				r := bytes.NewReader(nil)
				c := NewCompressed(stream{Reader: r}, alg, 0, false)
				buf := make([]byte, len(packet))
				b.SetBytes(int64(size))
				for b.Loop() {
					r.Reset(wire.Bytes())
					_, _ = io.ReadFull(c, buf)
				}
			})
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
