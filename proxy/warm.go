package proxy

import (
	"context"
	"time"
)

const (
	// warmConnections is how many connections to each server that may become the primary are made ahead at most.
	warmConnections = 32
	// warmTime bounds that: what is not done by then would compete with the sessions themselves.
	warmTime = 2 * time.Second
)

// warmSoon makes connections to the servers that may become the primary, because it is about to move: the first sessions
// that are carried over find a server that has greeted already.
func (c *Cluster) warmSoon() {
	select {
	case c.warm <- struct{}{}:
	default: // somebody has asked for it already
	}
}

// warmer makes the connections when that was asked for.
func (c *Cluster) warmer(ctx context.Context) {
	for {
		select {
		case <-c.warm:
			c.warmUp(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (c *Cluster) warmUp(ctx context.Context) {
	primary := c.table.Load().Primary.Instance.Name
	ctx, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	for _, i := range c.config.Servers {
		if i.Name == primary {
			continue
		}
		n := min(c.Count(), warmConnections)
		if q := &c.quotas[i.Name].connections; q.limit > 0 {
			held, _ := q.count()
			n = min(n, q.limit-held)
		}
		if err := c.config.Dialer.Warm(ctx, i.Address, n); err != nil {
			c.log.Debug().Err(err).Str("server", i.Name).Msg("connections were not made ahead")
		}
	}
}
