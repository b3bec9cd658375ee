package guard

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/onewriter/onewriter/internal/wire"
)

const (
	// maxColumns bounds the result sets of statements: twice what MySQL allows in a table (4096), and more than MariaDB.
	maxColumns = 8192
	// maxAnswer bounds a packet with its continuations, in bytes: the largest max_allowed_packet of servers.
	maxAnswer = 1 << 30
	// headLen is how much of the first packet of an answer is looked at.
	headLen = 32
)

// link is the connection underneath the driver. It looks at the packets of the server, as long as they are not encrypted,
// for what the driver would ask so much memory for that the program ends, which cannot be recovered from, and for what it
// would leave a goroutine behind after.
type link struct {
	*net.TCPConn
	loggedIn atomic.Bool

	// owned by the driver, which never reads and writes at a time
	in      *bufio.Reader
	greeted bool
	opaque  bool   // TLS begins
	refused error  // what was wrong with a packet; the driver only says that the connection is invalid
	first   bool   // the next packet begins an answer
	left    int    // bytes of the present packet that are still to come
	total   int    // of the present packet with those that it continues
	ready   []byte // looked at, and not taken yet
	space   [wire.HeaderSize + headLen]byte
}

// Write implements net.Conn.
func (l *link) Write(b []byte) (int, error) {
	l.first = true
	if !l.loggedIn.Load() && len(b) > wire.HeaderSize && wire.IsSSLRequest(b[wire.HeaderSize:]) {
		l.opaque = true
	}
	return l.TCPConn.Write(b)
}

// Read implements net.Conn. Errors that are not those of the connection are *wire.MalformedError and *wire.TooLargeError.
func (l *link) Read(b []byte) (int, error) {
	if len(l.ready) == 0 && l.left == 0 && !l.opaque {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	if len(l.ready) > 0 {
		n := copy(b, l.ready)
		l.ready = l.ready[n:]
		return n, nil
	}
	if l.opaque && l.in.Buffered() == 0 {
		return l.TCPConn.Read(b)
	}
	if !l.opaque {
		b = b[:min(len(b), l.left)]
	}
	n, err := l.in.Read(b)
	l.left = max(l.left-n, 0)
	return n, err
}

// silent reports whether the driver has taken all that came.
func (l *link) silent() bool { return len(l.ready) == 0 && l.left == 0 && l.in.Buffered() == 0 }

// refuse notes what is wrong with a packet.
func (l *link) refuse(err error) error {
	l.refused = err
	return err
}

// explain gives what the link has refused, if it has, in place of the driver's error.
func (l *link) explain(err error) error {
	if l.refused != nil {
		return l.refused
	}
	return err
}

// next reads the header of a packet, and as much of the packet as has to be looked at.
func (l *link) next() error {
	head := l.space[:wire.HeaderSize]
	if _, err := io.ReadFull(l.in, head); err != nil {
		return err
	}
	size := wire.PayloadLen(head)
	continued := l.total > 0
	l.total += size
	if l.total > maxAnswer {
		return l.refuse(&wire.TooLargeError{Size: l.total, Limit: maxAnswer})
	}
	if size < wire.MaxPayload {
		l.total = 0
	}
	look := 0
	switch {
	case continued:
	case !l.greeted:
		if look = size; size > wire.MaxLoginPacket {
			return l.refuse(&wire.TooLargeError{Size: size, Limit: wire.MaxLoginPacket})
		}
	case l.first:
		look = min(size, headLen)
	}
	l.ready = l.space[:]
	if wire.HeaderSize+look > len(l.ready) {
		l.ready = append(make([]byte, 0, wire.HeaderSize+look), head...)
	}
	l.ready = l.ready[:wire.HeaderSize+look]
	l.left = size - look
	if look == 0 {
		return nil
	}
	payload := l.ready[wire.HeaderSize:]
	if _, err := io.ReadFull(l.in, payload); err != nil {
		return err
	}
	if err := l.check(payload); err != nil {
		return l.refuse(err)
	}
	return nil
}

// check looks at the beginning of a greeting or an answer.
func (l *link) check(payload []byte) error {
	if !l.greeted {
		l.greeted = true
		if payload[0] == wire.HeaderERR {
			return checkErr(payload)
		}
		_, err := wire.ParseGreeting(payload)
		return err
	}
	l.first = payload[0] == wire.HeaderOK // another answer may follow
	switch {
	case payload[0] == wire.HeaderERR:
		return checkErr(payload)
	case !l.loggedIn.Load() && payload[0] == wire.HeaderOK:
		return checkOK(payload)
	case l.loggedIn.Load():
		if n, _, ok := wire.ReadLenEnc(payload); ok && n > maxColumns {
			return &wire.MalformedError{Message: "result set", Reason: fmt.Sprintf("it announces %d columns", n)}
		}
	}
	return nil
}

func checkErr(payload []byte) error {
	if len(payload) < 4 || payload[3] == '#' && len(payload) < 9 {
		return &wire.MalformedError{Message: "ERR", Reason: "too short"}
	}
	return nil
}

func checkOK(payload []byte) error {
	rest := payload[1:]
	for range 2 { // rows, id
		_, n, ok := wire.ReadLenEnc(rest)
		if !ok {
			return &wire.MalformedError{Message: "OK", Reason: "too short"}
		}
		rest = rest[n:]
	}
	if len(rest) < 2 { // the status
		return &wire.MalformedError{Message: "OK", Reason: "too short"}
	}
	return nil
}
