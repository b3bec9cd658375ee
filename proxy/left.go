package proxy

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// errAbandoned ends a session whose client has hung up while its server computes.
var errAbandoned = errors.New("the client has hung up while its statement was running")

// leftPeriod is how often the clients of statements that take long are looked at. Servers look every five seconds, where
// they do: while a statement sleeps or waits for a lock of GET_LOCK.
const leftPeriod = 2 * time.Second

// watchLeft ends sessions whose clients have hung up while a statement runs: their goroutines await the server's answer, and
// would hear of it afterwards only. The server is hung up on as it would have been by the client, and does what it does
// then. It looks from outside, at the sessions that have been at the same command for a period.
func (c *Cluster) watchLeft(ctx context.Context) {
	ticker := time.NewTicker(leftPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.each((*clientSession).lookWhetherLeft)
	}
}

func (s *clientSession) lookWhetherLeft() {
	before := s.atCommand
	s.atCommand = 0
	if s.activity.Load() == idle {
		return
	}
	s.atCommand = s.commands.Load()
	if s.atCommand == before && left(s.clientTC) {
		s.end(errAbandoned)
	}
}

// What ends a TLS connection is a record with a close_notify: an alert up to TLS 1.2, and since then a record like those with
// data, of which none is as short as that, because a command takes five bytes.
const (
	recordHeader    = 5
	recordMin       = recordHeader + 2
	recordMax       = recordHeader + 64
	recordAlert     = 0x15
	recordData      = 0x17
	closeNotifySize = recordHeader + 2 + 1 + 16
)

// left reports whether the peer has hung up and sent nothing before that is still to be served.
func left(conn net.Conn) bool {
	var b [recordMax + 1]byte
	n, err := peekInto(conn, b[:])
	return err == nil && (n == 0 || isGoodbye(b[:n])) || errors.Is(err, unix.ECONNRESET)
}

// isGoodbye reports whether b is a record of TLS that ends the connection, and nothing else.
func isGoodbye(b []byte) bool {
	if len(b) < recordMin || len(b) > recordMax || b[1] != 3 || int(b[3])<<8|int(b[4]) != len(b)-recordHeader {
		return false
	}
	return b[0] == recordAlert || b[0] == recordData && len(b) == closeNotifySize
}
