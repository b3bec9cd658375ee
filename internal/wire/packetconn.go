package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// MaxLoginPacket bounds the payload of a packet before a client has logged in, in bytes. It is memory that anybody can
// ask for; a login with everything at its limit takes about half of it.
const MaxLoginPacket = 256 << 10

// TooLargeError says that a peer announced a packet above the bound; nothing of its payload was read.
type TooLargeError struct{ Size, Limit int }

// Error gives size and limit in bytes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("packet of %d bytes exceeds the limit of %d", e.Size, e.Limit)
}

// SequenceError says that a packet is out of order (error 1156 of MySQL).
type SequenceError struct{ Got, Want byte }

// Error gives both sequence numbers.
func (e *SequenceError) Error() string {
	return fmt.Sprintf("packet %d where %d was expected", e.Got, e.Want)
}

// PacketConn reads and writes whole packets during login. It is made for the cold path: it never reads beyond the
// packet asked for, so that afterwards the connection can be taken over (Conn) with nothing lost. One goroutine may
// read while another writes.
type PacketConn struct {
	conn  net.Conn
	seq   atomic.Uint32 // its low byte
	limit int
	buf   []byte
}

// NewPacketConn wraps conn, at sequence number 0 and with the limit MaxLoginPacket.
func NewPacketConn(conn net.Conn) *PacketConn { return &PacketConn{conn: conn, limit: MaxLoginPacket} }

// Conn gives the connection underneath: the TCP connection, the *tls.Conn after an upgrade, or a *Compressed.
func (p *PacketConn) Conn() net.Conn { return p.conn }

// SetDeadline bounds all reads and writes from now on; the zero time removes the bound.
func (p *PacketConn) SetDeadline(t time.Time) error { return p.conn.SetDeadline(t) }

// Sequence is the number that the next packet in either direction carries.
func (p *PacketConn) Sequence() byte { return byte(p.seq.Load()) }

// SetSequence sets the number of the next packet: 0 before a command, 1 after one that was read elsewhere.
func (p *PacketConn) SetSequence(n byte) { p.seq.Store(uint32(n)) }

// ReadPacket reads one packet and returns its payload, which is valid until the next call. Errors: *TooLargeError,
// *SequenceError, or the connection's own (io.EOF when the peer closed before a packet).
func (p *PacketConn) ReadPacket() ([]byte, error) {
	var head [HeaderSize]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		return nil, err
	}
	size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if size > p.limit {
		return nil, &TooLargeError{Size: size, Limit: p.limit}
	}
	if want := p.Sequence(); head[3] != want {
		return nil, &SequenceError{Got: head[3], Want: want}
	}
	p.seq.Add(1)
	if err := p.readBody(size); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return p.buf, nil
}

// firstBody is how much memory in bytes a packet gets before any of it is there; ordinary logins fit.
const firstBody = 1 << 10

// readBody reads a payload of size bytes. Memory is taken as bytes come, not as they are announced: anybody can announce.
func (p *PacketConn) readBody(size int) error {
	if n := min(size, firstBody); cap(p.buf) < n {
		p.buf = make([]byte, n)
	}
	for filled := 0; ; {
		p.buf = p.buf[:min(size, cap(p.buf))]
		if _, err := io.ReadFull(p.conn, p.buf[filled:]); err != nil {
			return err
		}
		if filled = len(p.buf); filled == size {
			return nil
		}
		larger := make([]byte, min(size, 2*filled))
		copy(larger, p.buf)
		p.Wipe()
		p.buf = larger
	}
}

// WritePacket sends payload as one packet. Payloads of 16 MiB and more are refused with a *TooLargeError.
func (p *PacketConn) WritePacket(payload []byte) error {
	if len(payload) >= MaxPayload {
		return &TooLargeError{Size: len(payload), Limit: MaxPayload - 1}
	}
	n := len(payload)
	packet := append(make([]byte, 0, HeaderSize+n), byte(n), byte(n>>8), byte(n>>16), p.Sequence())
	p.seq.Add(1) // before the peer can answer
	packet = append(packet, payload...)
	_, err := p.conn.Write(packet)
	clear(packet) // it can be a password
	return err
}

// Wipe zeroes what is left of the packets that were read: passwords can be among them. Payloads are invalid afterwards.
func (p *PacketConn) Wipe() { clear(p.buf[:cap(p.buf)]) }

// UpgradeServer turns the connection to a client into TLS, after its SSLRequest was read.
func (p *PacketConn) UpgradeServer(ctx context.Context, config *tls.Config) error {
	return p.upgrade(ctx, tls.Server(p.conn, config))
}

// UpgradeClient turns the connection to a server into TLS, after an SSLRequest was sent.
func (p *PacketConn) UpgradeClient(ctx context.Context, config *tls.Config) error {
	return p.upgrade(ctx, tls.Client(p.conn, config))
}

func (p *PacketConn) upgrade(ctx context.Context, conn *tls.Conn) error {
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	p.conn = conn
	return nil
}

// Secure reports whether what is said on the connection stays between its ends: TLS, or a Unix socket.
func (p *PacketConn) Secure() bool {
	conn := p.conn
	if c, ok := conn.(*Compressed); ok {
		conn = c.NetConn()
	}
	switch conn := conn.(type) {
	case *tls.Conn:
		return true
	default:
		return conn.LocalAddr() != nil && conn.LocalAddr().Network() == "unix"
	}
}
