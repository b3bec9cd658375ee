package proxy

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
)

// reserve is a file descriptor that is given up when there are no others, so that a client can be told instead of being
// left in the kernel's backlog. It belongs to the listener's goroutine.
type reserve struct{ file *os.File }

func (r *reserve) hold() {
	if r.file == nil {
		r.file, _ = os.Open(os.DevNull) // without one, clients wait until there is
	}
}

// give gives the descriptor up; false means that there was none.
func (r *reserve) give() bool {
	if r.file == nil {
		return false
	}
	_ = r.file.Close()
	r.file = nil
	return true
}

// outOfDescriptors reports whether err is about the limit of the process (EMFILE) or of the system (ENFILE).
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// shedWait bounds the accept of a client that may have left meanwhile.
const shedWait = 50 * time.Millisecond

// shed accepts the next client with the reserve descriptor, only to tell it that there is no other. False means that
// nobody could be told.
func (l *Listener) shed() bool {
	if !l.reserve.give() {
		l.reserve.hold()
		return false
	}
	defer l.reserve.hold()
	if tcp, ok := l.ln.(*net.TCPListener); ok {
		_ = tcp.SetDeadline(time.Now().Add(shedWait))
		defer func() { _ = tcp.SetDeadline(time.Time{}) }()
	}
	conn, err := l.ln.Accept()
	if err != nil {
		return false
	}
	l.cluster.metrics.accepted.Inc()
	l.cluster.metrics.refuse(refusedDescriptors)
	turnAway(conn, "Too many connections (onewriter: no file descriptor left; raise the limit of open files)")
	return true
}

// turnAway says error 1040 to a client that has just connected. The text fits into any socket's buffer, so this does not
// wait.
func turnAway(conn net.Conn, text string) {
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(wire.AppendPacket(nil, 0, wire.AppendErr(nil, erConCount, "08004", text)))
	_ = conn.Close()
}
