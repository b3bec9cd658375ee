package sockopt

import (
	"net"
	"time"
)

// Options say when a connection to a peer that has vanished breaks. Zero leaves what the system does: two hours without a
// sign, 15 minutes with data under way.
type Options struct {
	// KeepAlive is how long an idle connection may be without a sign of its peer. Half of it passes before the first of
	// three questions; steps of a second.
	KeepAlive time.Duration
	// UserTimeout is how long data may stay unacknowledged (TCP_USER_TIMEOUT, tcp(7)); Linux only. It also breaks a
	// connection whose peer lives but reads nothing for so long.
	UserTimeout time.Duration
}

// keepAliveProbes is how many questions stay unanswered before a peer is given up.
const keepAliveProbes = 3

// Apply sets o on a TCP connection; other kinds of connections are left alone. It is done as far as the system can.
func Apply(conn net.Conn, o Options) {
	tcp := tcpOf(conn)
	if tcp == nil {
		return
	}
	if o.KeepAlive > 0 {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
			Enable: true, Idle: max(o.KeepAlive/2, time.Second), Interval: max(o.KeepAlive/2/keepAliveProbes, time.Second), Count: keepAliveProbes,
		})
	} else {
		_ = tcp.SetKeepAlive(false)
	}
	if o.UserTimeout > 0 {
		SetUserTimeout(tcp, o.UserTimeout)
	}
}

// SetUserTimeout changes Options.UserTimeout of a connection; 0 switches it off.
func SetUserTimeout(conn net.Conn, d time.Duration) {
	if tcp := tcpOf(conn); tcp != nil {
		setUserTimeout(tcp, d)
	}
}

// Reset closes a connection at once and for good: what the peer has not received yet is dropped instead of being sent until
// it arrives (SO_LINGER of 0, socket(7)), and a layer above has no last words. It never blocks.
func Reset(conn net.Conn) {
	tcp := tcpOf(conn)
	if tcp == nil {
		_ = conn.Close()
		return
	}
	_ = tcp.SetLinger(0)
	_ = tcp.Close()
}

// tcpOf is the TCP connection under conn, nil if there is none.
func tcpOf(conn net.Conn) *net.TCPConn {
	for {
		switch c := conn.(type) {
		case *net.TCPConn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}
