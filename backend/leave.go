package backend

import (
	"context"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
)

const (
	leaveTimeout = 2 * time.Second
	leaveQueue   = 64
)

// discard ends connections that found no use. Servers count those that are dropped before a login, and refuse the host
// in the end (1129, max_connect_errors): they are logged in with Config.Leave first, which also sets the count to zero.
// The login is left to Run; more than leaveQueue at a time are dropped.
func (d *Dialer) discard(list []*Greeted) {
	for _, g := range list {
		if d.config.Leave == nil || !alive(g.pc.Conn()) {
			_ = g.pc.Conn().Close()
			continue
		}
		select {
		case d.leaving <- g:
		default:
			_ = g.pc.Conn().Close()
		}
	}
}

// leave logs in and says good-bye, one connection after the other, until ctx is done; then it closes what is left.
func (d *Dialer) leave(ctx context.Context) {
	for {
		select {
		case g := <-d.leaving:
			d.leaveOne(ctx, g)
		case <-ctx.Done():
			for {
				select {
				case g := <-d.leaving:
					_ = g.pc.Conn().Close()
				default:
					return
				}
			}
		}
	}
}

func (d *Dialer) leaveOne(ctx context.Context, g *Greeted) {
	defer func() { _ = g.pc.Conn().Close() }()
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	conn, _, err := g.Login(ctx, *d.config.Leave)
	if err != nil {
		d.config.Logger.Debug().Err(err).Str("server", g.Addr).Msg("unused connection could not be ended in order")
		return
	}
	_, _ = conn.Write([]byte{1, 0, 0, 0, wire.ComQuit})
	_ = conn.Close()
}

// finish brings a login to its end whose client went away in the middle of it: an answer that can't be right is counted
// as a wrong password, none would be counted against this host.
// It takes 2 seconds at most, whatever time the login had.
func finish(server *wire.PacketConn) {
	if server.SetDeadline(time.Now().Add(leaveTimeout)) != nil {
		return
	}
	for range maxRounds {
		if server.WritePacket(noise[:]) != nil {
			return
		}
		payload, err := server.ReadPacket()
		if err != nil {
			return
		}
		if _, done, _ := verdict(payload); done {
			return
		}
	}
}
