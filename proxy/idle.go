package proxy

import (
	"context"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/session"
)

// lastSeen is what the sweep has seen of a session. It belongs to the sweep's goroutine.
type lastSeen struct {
	commands uint64
	at       int64 // when commands was another number, as tallies.now counts
}

// sweep ends sessions whose clients have sent nothing for IdleTimeout. It looks from outside, so that the way of a command
// has nothing to do with it.
func (c *Cluster) sweep(ctx context.Context) {
	limit := c.config.Limits.IdleTimeout
	ticker := time.NewTicker(min(max(limit/10, 10*time.Millisecond), 10*time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := c.tallies.now()
		c.each(func(s *clientSession) { s.sweep(now, int64(limit)) })
	}
}

func (s *clientSession) sweep(now, limit int64) {
	n := s.commands.Load()
	switch {
	case s.seen.at == 0 || n != s.seen.commands:
		s.seen = lastSeen{n, now}
	case now-s.seen.at < limit || now-s.replied.Load() < limit, s.account.Load() == nil,
		session.Pin(s.pins.Load())&session.PinReplication != 0: // it streams
	default:
		s.overdue.Store(n + 1)
		s.nudge()
	}
}

// expired reports whether the sweep has found the session idle and it still is. A statement that has just ended after a
// long time makes it busy.
func (s *clientSession) expired() bool {
	n := s.overdue.Swap(0)
	return n == s.commands.Load()+1 && len(s.client.buf.bytes()) == 0 &&
		s.cluster.tallies.now()-s.replied.Load() >= int64(s.cluster.config.Limits.IdleTimeout)
}

// errIdle has the code of the servers: MySQL says 4031 (ER_CLIENT_INTERACTION_TIMEOUT); MariaDB says nothing, so its
// clients get the code of a connection that was ended (1927, ER_CONNECTION_KILLED).
func errIdle(flavor session.Flavor, limit time.Duration) *clientError {
	e := &clientError{erIdle, "HY000", fmt.Sprintf("onewriter: disconnected after %s without a command (idle_timeout)", limit), true}
	if flavor == session.MariaDB {
		e.code, e.state = erKilled, "70100"
	}
	return e
}

// expire says good-bye. The client reads it as the answer to its next command, or sees that something came and connects
// anew.
func (s *clientSession) expire() error {
	s.cluster.metrics.timeout(timeoutIdle)
	e := errIdle(s.flavor, s.cluster.config.Limits.IdleTimeout)
	payload, _ := asClientError(e)
	s.cluster.metrics.told(e)
	_ = s.clientTC.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = s.client.conn.Write(wire.AppendPacket(nil, 0, payload))
	return e
}
