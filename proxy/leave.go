package proxy

import (
	"context"
	"time"

	"github.com/onewriter/onewriter/internal/pause"
)

// The pace at which idle sessions are told to leave a server: 20,000 a second. Closing thousands of connections at once
// takes processor time, here and at the server, just when clients wait for the switchover to end. Nothing depends on
// it: a session looks at the routing table with each command.
const (
	leaveBatch = 100
	leavePause = 5 * time.Millisecond
)

// leaveSoon makes idle sessions look at the routing table soon.
func (c *Cluster) leaveSoon() {
	select {
	case c.leave <- struct{}{}:
	default: // somebody has asked for it already
	}
}

// usher tells sessions to look at the routing table, at a pace, when that was asked for and clients do not wait any more.
func (c *Cluster) usher(ctx context.Context) {
	for {
		select {
		case <-c.leave:
		case <-ctx.Done():
			return
		}
		if err := c.gate.Opened(ctx); err != nil {
			return
		}
		n := 0
		c.each(func(s *clientSession) {
			s.nudge()
			if n++; n%leaveBatch == 0 {
				_ = pause.For(ctx, leavePause) // the loop's next look at ctx ends it
			}
		})
	}
}
