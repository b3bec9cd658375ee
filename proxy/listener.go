package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/sockopt"
	"github.com/onewriter/onewriter/router"
)

// Listener accepts the clients of one address.
type Listener struct {
	config   ListenerConfig
	policy   router.Policy
	cluster  *Cluster
	ln       net.Listener
	sessions atomic.Int64
	users    userCounts
	reserve  reserve
}

// Addr is the address the listener is bound to.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Route is what the listener is for.
func (l *Listener) Route() router.Route { return l.policy.Route }

// Sessions is the number of clients connected.
func (l *Listener) Sessions() int { return int(l.sessions.Load()) }

// maxAcceptPause bounds the back-off after errors such as EMFILE.
const maxAcceptPause = time.Second

// accept serves until the listener is closed.
func (l *Listener) accept(ctx context.Context) error {
	pause := time.Duration(0)
	l.reserve.hold()
	defer l.reserve.give()
	for {
		conn, err := l.ln.Accept()
		switch {
		case err == nil:
			pause = 0
			l.admit(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, syscall.ECONNABORTED):
		case outOfDescriptors(err) && l.shed():
		default:
			pause = min(max(2*pause, 5*time.Millisecond), maxAcceptPause)
			l.cluster.log.Warn().Err(err).Str("listener", l.config.Address).Dur("pause", pause).Msg("accept failed")
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
	}
}

func (l *Listener) admit(conn net.Conn) {
	l.cluster.metrics.accepted.Inc()
	if l.sessions.Add(1) > int64(l.config.MaxConnections) {
		l.sessions.Add(-1)
		l.cluster.metrics.refuse(refusedListener)
		text := fmt.Sprintf("Too many connections (onewriter: max_connections is %d on %s)", l.config.MaxConnections, l.config.Address)
		turnAway(conn, text)
		return
	}
	sockopt.Apply(conn, l.cluster.config.ClientTCP)
	l.cluster.start(l, conn)
}
