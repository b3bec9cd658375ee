package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
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
	for {
		conn, err := l.ln.Accept()
		switch {
		case err == nil:
			pause = 0
			l.admit(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, syscall.ECONNABORTED):
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
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(wire.AppendPacket(nil, 0, wire.AppendErr(nil, erConCount, "08004", text)))
		_ = conn.Close()
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3})
	}
	l.cluster.start(l, conn)
}
