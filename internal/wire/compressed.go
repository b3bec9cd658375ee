package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

const (
	compressedHeader = 7
	// minCompress is the length in bytes below which nothing is compressed: it would save less than it costs. Servers
	// begin at 50 (MIN_COMPRESS_LENGTH); the receiver does not mind.
	minCompress = 150
	// maxPlain is how many bytes are put into one compressed packet, at most.
	maxPlain = 256 << 10
	// readAhead is how many bytes a connection reads together with a header. It is all that it holds when it is idle.
	readAhead = 256
)

// Compressed is a connection on which the compressed protocol is spoken: packets of the classic protocol, cut anywhere,
// travel in packets with a header of 7 bytes (length, number, length before compression, which is 0 when the packet is
// not compressed).
//
// Both layers number their packets, and those who speak compression let the numbers of the classic layer follow those of
// the compressed one when they begin to write (net_flush in both flavours). Read therefore numbers the classic packets
// anew, as they would be without compression, so that they can be passed on to an uncompressed connection; and Write
// numbers an answer as a server does.
//
// One goroutine may read while another writes; the numbers, which both move on, can then be those of either, as they are
// between peers that talk at the same time. Buffers and compressors are borrowed for one packet: an idle connection holds
// none.
//
// Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html and
// https://mariadb.com/kb/en/0-packet/#compressed-packet.
type Compressed struct {
	net.Conn
	algorithm Compression
	level     zstd.EncoderLevel
	toClient  bool

	numbers atomic.Uint32 // see numbers
	in, out walk
	shift   byte // what is added to the numbers of the classic packets of an answer

	ahead    [readAhead]byte // bytes read together with a header: ahead[from:to]
	from, to int
	left     int  // bytes of the packet's body that were not taken from the connection yet
	plain    int  // bytes of the packet's content that Read has not given yet
	size     int  // its content in all
	raw      bool // the packet is not compressed
	first    bool // nothing of the packet was given yet
	number   byte // of the packet
	begins   bool // the classic packet that comes next begins an exchange
	expect   byte // the number after that of the last classic packet in it, 0 for none
	broken   error
	body     scratch
	filled   int // bytes of body
	inflater *inflater
	streams  *streams // nil unless both sides speak when they like
}

// NewCompressed begins compression on conn, right after the OK of a login was read or written. toClient says which end
// this is: with it, the peer is a client. level is for zstd: 1 to 22, 0 for the default.
func NewCompressed(conn net.Conn, algorithm Compression, level byte, toClient bool) *Compressed {
	c := &Compressed{Conn: conn, algorithm: algorithm, level: zstdLevel(level), toClient: toClient}
	c.numbers.Store(numbers{peer: !toClient}.pack())
	return c
}

// NetConn is the connection underneath: TCP or *tls.Conn.
func (c *Compressed) NetConn() net.Conn { return c.Conn }

// Continue says that the next packet, in whichever direction, goes on with the exchange of now, as the content of a
// local file does. Without it a packet with number 0 that comes after one of the other side begins a new one.
func (c *Compressed) Continue() {
	n := unpack(c.numbers.Load())
	n.goesOn = true
	c.numbers.Store(n.pack())
}

// Buffered reports whether something came that Read has not given.
func (c *Compressed) Buffered() bool { return c.from < c.to || c.plain > 0 }

// Lacks reports whether the peer owes the rest of a packet of which Await has found the header. Read may keep what came
// of it, up to 16 MiB, until it is there as a whole.
func (c *Compressed) Lacks() bool { return c.left > c.to-c.from }

// numbers are the packet numbers of an exchange: a command with its answer.
type numbers struct {
	outer, inner byte // that the next packet of either layer has
	peer         bool // the last packet came from the side that does not begin exchanges
	goesOn       bool // see Continue
}

func (n numbers) pack() uint32 {
	v := uint32(n.outer) | uint32(n.inner)<<8
	if n.peer {
		v |= 1 << 16
	}
	if n.goesOn {
		v |= 1 << 17
	}
	return v
}

func unpack(v uint32) numbers {
	return numbers{outer: byte(v), inner: byte(v >> 8), peer: v&(1<<16) != 0, goesOn: v&(1<<17) != 0}
}

// begins reports whether a packet that carries number got, where want would go on, begins a new exchange.
func (n numbers) begins(got, want byte) bool {
	return got == 0 && !n.goesOn && (want != 0 || n.peer)
}

// walk finds the headers of classic packets in a stream of bytes.
type walk struct {
	skip int  // bytes of a payload still to come
	size int  // length in the header being read
	have int  // bytes of that header
	more bool // the next packet continues a payload of 16 MiB - 1
}

// atHeader reports whether the next byte begins a packet that continues no other.
func (w *walk) atHeader() bool { return w.skip == 0 && w.have == 0 && !w.more }

// next walks the first n bytes of p: to the end of a payload, or to the number of a packet, which is then p[at]. Else at
// is -1.
func (w *walk) next(p []byte) (n, at int) {
	if w.skip > 0 {
		n = min(w.skip, len(p))
		w.skip -= n
		return n, -1
	}
	for ; n < len(p); n++ {
		if w.have < 3 {
			w.size |= int(p[n]) << (8 * w.have)
			w.have++
			continue
		}
		w.skip, w.more = w.size, w.size == MaxPayload
		w.have, w.size = 0, 0
		return n + 1, n
	}
	return n, -1
}

// Await waits for the header of a packet, so that a reader needs no buffer of its own until there is something to read.
func (c *Compressed) Await() error {
	if c.broken != nil {
		return c.broken
	}
	for c.plain == 0 {
		if c.to-c.from >= compressedHeader {
			return c.open()
		}
		if c.from > 0 {
			c.to = copy(c.ahead[:], c.ahead[c.from:c.to])
			c.from = 0
		}
		n, err := c.Conn.Read(c.ahead[c.to:])
		c.to += n
		if n == 0 {
			if errors.Is(err, io.EOF) && c.to > 0 {
				return io.ErrUnexpectedEOF
			}
			return orNoProgress(err)
		}
	}
	return nil
}

func orNoProgress(err error) error {
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// open takes the header of a packet.
func (c *Compressed) open() error {
	h := c.ahead[c.from:]
	c.from += compressedHeader
	c.left = PayloadLen(h)
	c.number = h[3]
	c.size = int(h[4]) | int(h[5])<<8 | int(h[6])<<16
	c.raw = c.size == 0
	if c.raw {
		c.size = c.left
	}
	if c.left == 0 {
		return c.fail("empty")
	}
	c.plain, c.first = c.size, true
	return nil
}

// fail makes the connection unusable: nobody knows where the next packet begins.
func (c *Compressed) fail(reason string) error {
	c.broken = malformed("compressed packet", reason)
	return c.broken
}

// Read gives bytes of the classic protocol. A deadline that passes leaves everything in place: reading can go on.
func (c *Compressed) Read(p []byte) (n int, err error) {
	if err := c.Await(); err != nil || len(p) == 0 {
		return 0, err
	}
	p = p[:min(len(p), c.plain)]
	if c.raw {
		n, err = c.take(p[:min(len(p), c.left)])
	} else {
		n, err = c.inflate(p)
	}
	if n > 0 {
		c.plain -= n
		c.renumber(p[:n])
		if c.plain == 0 && !c.raw {
			if err := c.finish(); err != nil {
				return 0, err
			}
		}
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return 0, orNoProgress(err)
}

// take gives bytes of the packet's body.
func (c *Compressed) take(p []byte) (n int, err error) {
	if c.from < c.to {
		n = copy(p, c.ahead[c.from:c.to])
		c.from += n
	} else {
		n, err = c.Conn.Read(p)
	}
	c.left -= n
	return n, err
}

// inflate gives decompressed bytes once the body is there as a whole.
func (c *Compressed) inflate(p []byte) (n int, err error) {
	if c.inflater == nil {
		if err := c.gather(); err != nil {
			return 0, err
		}
		if c.inflater, err = newInflater(c.algorithm, (*c.body.buf)[:c.filled]); err != nil {
			return 0, c.fail(err.Error())
		}
	}
	for n == 0 && err == nil {
		n, err = c.inflater.Read(p)
	}
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		return 0, c.fail("it is shorter than announced")
	}
	return 0, c.fail(err.Error())
}

// gather reads the body of a compressed packet. Memory is taken as bytes come, not as they are announced.
func (c *Compressed) gather() error {
	for c.left > 0 {
		if c.body.buf == nil {
			c.body, c.filled = borrowScratch(min(c.left, 16<<10)), 0
		}
		if c.filled == len(*c.body.buf) {
			c.body.grow(c.filled)
		}
		b := (*c.body.buf)[c.filled:]
		n, err := c.take(b[:min(len(b), c.left)])
		c.filled += n
		if n == 0 {
			return orNoProgress(err)
		}
	}
	return nil
}

// finish ends a compressed packet: nothing may follow, and its checksum must be right.
func (c *Compressed) finish() error {
	over := c.inflater.over[:]
	n, err := c.inflater.Read(over)
	for n == 0 && err == nil {
		n, err = c.inflater.Read(over)
	}
	switch {
	case n > 0:
		return c.fail("it is longer than announced")
	case !errors.Is(err, io.EOF):
		return c.fail(err.Error())
	}
	c.inflater.release(c.size)
	c.inflater = nil
	c.body.release()
	return nil
}

// renumber gives the classic packets in p the numbers that they would have without compression.
func (c *Compressed) renumber(p []byte) {
	if c.streams != nil {
		c.renumberStream(p)
		return
	}
	n := unpack(c.numbers.Load())
	if c.first {
		c.begins = c.toClient && c.in.atHeader() && n.begins(c.number, n.outer)
		n.outer = c.number + 1
		c.first, c.expect = false, 0
	}
	for len(p) > 0 {
		m, at := c.in.next(p)
		if at >= 0 {
			got := p[at]
			// Clients may put several commands into one compressed packet.
			if c.begins || c.toClient && got == 0 && c.expect != 0 {
				n.inner = 0
			}
			p[at] = n.inner
			n.inner++
			n.goesOn, c.begins, c.expect = false, false, got+1
		}
		p = p[m:]
	}
	n.peer = !c.toClient
	c.numbers.Store(n.pack())
}

// Write sends classic packets. Towards a server every command gets a compressed packet of its own.
func (c *Compressed) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.streams != nil {
		return c.writeStream(p)
	}
	return c.write(p)
}

func (c *Compressed) write(p []byte) (int, error) {
	out := borrowScratch(min(len(p), maxPlain) + compressedHeader)
	defer out.release()
	n := c.sending()
	if c.toClient && !n.peer { // an answer begins
		c.shift = n.outer - n.inner
	}
	if c.shift != 0 {
		p = bytes.Clone(p) // rare: behind a command of more than one packet, or a file
	}
	held, sent := 0, 0
	for at := 0; ; {
		size := c.piece(p[at:], &n)
		held += c.pack((*out.buf)[held:], p[at:at+size], n.outer)
		n.outer++
		at += size
		if at < len(p) && held+compressedHeader+min(len(p)-at, maxPlain) <= len(*out.buf) {
			continue // a short one fits in beside it
		}
		c.sent(n) // before the peer can answer
		if _, err := c.Conn.Write((*out.buf)[:held]); err != nil {
			return sent, err
		}
		if sent, held = at, 0; at == len(p) {
			return sent, nil
		}
	}
}

// piece says how many bytes of p go into the next compressed packet, and notes the numbers of the classic packets in
// them.
func (c *Compressed) piece(p []byte, n *numbers) int {
	size := 0
	p = p[:min(len(p), maxPlain)]
	if c.streams != nil {
		return c.pieceOfStream(p, n)
	}
	for size < len(p) {
		if !c.toClient && c.out.atHeader() && len(p)-size >= HeaderSize && n.begins(p[size+3], n.inner) {
			if size > 0 {
				break
			}
			n.outer = 0
		}
		m, at := c.out.next(p[size:])
		if at >= 0 {
			n.inner = p[size+at] + 1
			n.peer, n.goesOn = c.toClient, false
			if c.shift != 0 {
				p[size+at] += c.shift
			}
		}
		size += m
	}
	return size
}

// pack writes one compressed packet with the content p to dst, which has room for it.
func (c *Compressed) pack(dst, p []byte, number byte) int {
	body := dst[compressedHeader:compressedHeader:len(dst)]
	limit := len(p) - 1 // else it does not pay
	plain := 0
	if len(p) >= minCompress {
		var out []byte
		ok := false
		if c.algorithm == Zstd {
			out, ok = appendZstd(body, p, c.level)
		} else {
			out, ok = appendZlib(body[:0:limit], p)
		}
		if ok && len(out) <= limit {
			plain, p = len(p), out
		}
	}
	if plain == 0 || &p[0] != &body[:1][0] {
		body = append(body, p...)
	} else {
		body = p
	}
	size := len(body)
	dst[0], dst[1], dst[2], dst[3] = byte(size), byte(size>>8), byte(size>>16), number
	dst[4], dst[5], dst[6] = byte(plain), byte(plain>>8), byte(plain>>16)
	return compressedHeader + size
}
