package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/onewriter/onewriter/internal/wire"
)

// errBufferFull says that a peer sent a packet that must be understood whole and does not fit the largest buffer.
var errBufferFull = errors.New("proxy: packet too large to be understood")

// endpoint is one connection of a session with its read buffer. It belongs to the session's goroutine.
type endpoint struct {
	conn   net.Conn
	raw    syscall.RawConn // nil where waiting without a buffer is not possible (TLS) or done by the connection (compression)
	try    func(fd uintptr) bool
	buf    buffer
	tryN   int
	tryErr unix.Errno
	first  [1]byte
}

// asker is an endpoint whose peer speaks only when it is spoken to.
type asker struct {
	endpoint
	out  []byte  // what exchange still has to send
	from *buffer // where out is from
	used int     // bytes of from that out stands for
}

func (a *asker) open(conn net.Conn) {
	if a.try == nil {
		a.try = a.tryExchange
	}
	a.endpoint.open(conn)
}

func (e *endpoint) open(conn net.Conn) {
	e.conn, e.raw = conn, nil
	e.buf.drop()
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			e.raw = raw
		}
	}
	if e.try == nil {
		e.try = e.tryRead
	}
}

func (e *endpoint) close() {
	if e.conn != nil {
		_ = e.conn.Close()
	}
	e.conn, e.raw = nil, nil
	e.buf.drop()
}

// tryRead reads once without waiting; false makes the runtime wait until the socket is readable. The buffer is only
// borrowed while there is something to read, so that an idle session holds none. (The read has to be tried before the
// wait: the poller is edge-triggered and RawConn.Read clears readiness before the first call.)
func (e *endpoint) tryRead(fd uintptr) bool {
	e.buf.borrow()
	for {
		n, err := unix.Read(int(fd), e.buf.free())
		e.tryN = n
		e.tryErr, _ = err.(unix.Errno) //nolint:errorlint // a system call wraps nothing, and this runs for each command
		if e.tryErr != unix.EINTR {
			break
		}
	}
	if e.tryErr == unix.EAGAIN {
		e.buf.giveBack()
		return false
	}
	return true
}

// fill reads more bytes behind those that are held. It waits for at least one.
func (e *endpoint) fill() error {
	if e.conn == nil {
		return net.ErrClosed
	}
	if e.buf.data != nil && !e.buf.room() {
		return errBufferFull
	}
	if e.raw == nil {
		return e.fillSlowly()
	}
	return e.filled(e.raw.Read(e.try))
}

// filled takes over what tryRead read.
func (e *endpoint) filled(err error) error {
	if err != nil {
		return err
	}
	if e.tryErr != 0 {
		return &net.OpError{Op: "read", Net: "tcp", Err: e.tryErr}
	}
	if e.tryN <= 0 {
		return io.EOF
	}
	e.took(e.tryN)
	return nil
}

func (e *endpoint) fillSlowly() error {
	if c, ok := e.conn.(*wire.Compressed); ok {
		if err := c.Await(); err != nil {
			return err
		}
		e.buf.borrow()
	} else if e.buf.data == nil {
		return e.fillFirst()
	}
	n, err := e.conn.Read(e.buf.free())
	if n > 0 {
		e.took(n)
		return nil
	}
	e.buf.giveBack()
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// fillFirst waits without a buffer, by reading a single byte: nothing that a peer says is as short, so another read
// follows, and finds the rest of the record decrypted.
func (e *endpoint) fillFirst() error {
	n, err := e.conn.Read(e.first[:])
	if n == 0 {
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	e.buf.borrow()
	e.buf.end = copy(*e.buf.data, e.first[:])
	return nil
}

// took accounts for n bytes read. A read that filled the buffer is a sign of a large result: take a larger buffer.
func (e *endpoint) took(n int) {
	filled := n == len(e.buf.free())
	e.buf.end += n
	if filled && e.buf.class+2 < len(bufferSizes) {
		e.buf.grow()
	}
}

// quiet reports whether an idle connection has neither been closed by its peer nor got unasked bytes. A server says
// good-bye that way: EOF, RST, or an ERR packet (4031 of MySQL's wait_timeout).
func (e *endpoint) quiet() bool {
	if e.conn == nil || len(e.buf.bytes()) > 0 {
		return false
	}
	return quiet(e.conn)
}

// gone reports whether the peer has certainly hung up.
func (e *endpoint) gone() bool {
	return e.conn == nil || hungUp(e.conn)
}

func hungUp(conn net.Conn) bool {
	n, err := peek(conn)
	return err == nil && n == 0 || errors.Is(err, unix.ECONNRESET)
}

func quiet(conn net.Conn) bool {
	if c, ok := conn.(*wire.Compressed); ok {
		if c.Buffered() {
			return false
		}
		conn = c.NetConn()
	}
	n, err := peek(conn)
	if _, secure := conn.(interface{ NetConn() net.Conn }); secure && err == nil && n > 0 {
		return quietUnder(conn)
	}
	return errors.Is(err, unix.EAGAIN)
}

// recordTimeout bounds the wait for the rest of a TLS record whose beginning is there.
const recordTimeout = 20 * time.Millisecond

// quietUnder is quiet for a TLS connection on which something came: session tickets and new keys are no word of the
// peer's, a good-bye is. What it reads is lost, but then the connection is given up.
func quietUnder(conn net.Conn) bool {
	if conn.SetReadDeadline(time.Now().Add(recordTimeout)) != nil {
		return false
	}
	var b [1]byte
	n, err := conn.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && conn.SetReadDeadline(time.Time{}) == nil
}

// peek looks for a byte without taking it: 0 and no error is the end of the connection, EAGAIN that nothing came.
func peek(conn net.Conn) (n int, err error) {
	var b [1]byte
	return peekInto(conn, b[:])
}

// peekInto is peek for as many bytes as b has room for.
func peekInto(conn net.Conn, b []byte) (n int, err error) {
	for {
		t, ok := conn.(interface{ NetConn() net.Conn }) // compression, TLS
		if !ok {
			break
		}
		conn = t.NetConn()
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return 0, unix.EAGAIN
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) {
		n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return n, errors.Join(err, cerr)
}

// exchange sends out, which stands for the first n bytes of from, and waits for what the peer answers. The bytes of
// from are used up, and its memory given back, as soon as out is sent.
//
// It spares the attempt to read before the wait, which an answer never is there for yet. That is safe here, and only
// here: the poller's readiness is cleared before out is written, and a peer that speaks when it is spoken to makes the
// socket readable after that. (One that hung up before resets the connection when it gets out, which wakes as well.)
func (a *asker) exchange(out []byte, from *buffer, n int) error {
	if a.raw == nil || a.buf.data != nil || len(out) == 0 {
		return a.sendAndFill(out, from, n)
	}
	a.out, a.from, a.used = out, from, n
	err := a.raw.Read(a.try)
	if rest := a.out; rest != nil { // not all of it went out at once, or nothing
		a.out = nil
		if err == nil {
			return a.sendAndFill(rest, from, n)
		}
		from.use(n)
		return err
	}
	return a.filled(err)
}

func (a *asker) sendAndFill(out []byte, from *buffer, n int) error {
	err := net.ErrClosed
	if a.conn != nil {
		_, err = a.conn.Write(out)
	}
	if from.use(n); err != nil {
		return err
	}
	return a.fill()
}

// tryExchange is tryRead behind a trySend that is due.
func (a *asker) tryExchange(fd uintptr) bool {
	if a.out != nil {
		return !a.trySend(fd)
	}
	return a.tryRead(fd)
}

// trySend writes out and reports whether all of it went; otherwise out is what is left.
func (a *asker) trySend(fd uintptr) bool {
	n, err := unix.Write(int(fd), a.out)
	if err != nil || n < len(a.out) {
		a.out = a.out[max(n, 0):]
		return false
	}
	a.out = nil
	a.from.use(a.used)
	return true
}
