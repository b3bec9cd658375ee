package proxy

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
)

// A client that neither sends the rest of a command nor takes its answer is bounded by Limits.StallTimeout. Deadlines do
// that without a system call, and where they cost nothing on the way of a short command: the one for writing is moved on
// only when half of it is used up, the one for reading is there only while part of a command is.

// errStalledRead is what such a client is told; the code and its meaning are the servers' (ER_NET_READ_INTERRUPTED).
func errStalledRead() *clientError {
	return &clientError{erReadTimeout, "08S01", "onewriter: the rest of a command did not come within stall_timeout", true}
}

// errStalledWrite ends the session of a client that takes no bytes.
var errStalledWrite = errors.New("the client took nothing of its answer for stall_timeout")

// toClient sends to the client. now is a recent time as tallies.now counts.
func (s *clientSession) toClient(b []byte, now int64) error {
	if len(b) == 0 {
		return nil
	}
	if s.client.conn == nil {
		return net.ErrClosed
	}
	for {
		s.boundWrite(now)
		n, err := s.client.conn.Write(b)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || s.abortion.Load() != nil {
			return err
		}
		// A deadline that came early is what an abort has left behind that the session had carried out already.
		early := n == 0 && s.client.raw != nil && s.cluster.tallies.now() < s.writeBy
		if n == 0 && !early || s.client.raw == nil { // a TLS connection is of no use after that
			s.cluster.metrics.timeout(timeoutWrite)
			return errStalledWrite
		}
		b, s.writeBy = b[n:], 0 // it is slow, but it reads
		now = s.cluster.tallies.now()
	}
}

// boundWrite makes writes to the client fail in StallTimeout, or in half of it at least.
func (s *clientSession) boundWrite(now int64) {
	limit := int64(s.cluster.config.Limits.StallTimeout)
	if limit <= 0 || s.writeBy-now >= limit/2 {
		return
	}
	s.writeBy = now + limit
	_ = s.clientTC.SetWriteDeadline(s.cluster.tallies.start.Add(time.Duration(s.writeBy)))
	if s.abortion.Load() != nil { // its patience is shorter
		_ = s.clientTC.SetWriteDeadline(time.Now().Add(abortPatience))
	}
}

// fillFromClient reads from the client. One that owes the rest of a command is bounded. A nudge ends the wait with
// os.ErrDeadlineExceeded; one that comes together with bytes is noted as late.
func (s *clientSession) fillFromClient() error {
	limit := s.cluster.config.Limits.StallTimeout
	bounded := limit > 0
	if bounded && !s.serving && len(s.client.buf.bytes()) == 0 {
		var err error
		if bounded, err = s.client.owesPacket(); err != nil {
			return err
		}
	}
	if !bounded {
		return s.client.fill()
	}
	s.alert.bound(s.clientTC, time.Now().Add(limit))
	err := s.client.fill()
	nudged := s.alert.relax(s.clientTC)
	switch {
	case nudged && err == nil:
		s.late = true
	case !nudged && errors.Is(err, os.ErrDeadlineExceeded):
		s.cluster.metrics.timeout(timeoutRead)
		err = errStalledRead()
		if !s.serving { // else it is told as with any other error of its command
			_ = s.writeError(err, sequenceIn(s.client.buf.bytes()))
		}
	}
	return err
}

// sequenceIn is the number of a packet of which b is the beginning, as far as it can be told.
func sequenceIn(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[min(wire.HeaderSize, len(b))-1]
}

// bound sets a deadline for reading, unless a nudge is to be looked after first.
func (a *alert) bound(conn net.Conn, deadline time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sent {
		_ = conn.SetReadDeadline(deadline)
	}
}

// relax takes the deadline off, and reports whether a nudge came.
func (a *alert) relax(conn net.Conn) (nudged bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	nudged, a.sent = a.sent, false
	_ = conn.SetReadDeadline(time.Time{})
	return nudged
}
