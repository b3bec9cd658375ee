package backend

import (
	"context"

	"golang.org/x/sync/errgroup"
)

const (
	warmMost   = 64 // spare connections to one server that are there because they were asked for
	warmAtOnce = 8
)

// Warm dials the server at addr until n connections (64 at most) wait for a login, so that many sessions that come there
// at once are spared that part. Those that find no use are ended like other spare ones, before the server's
// connect_timeout. It returns with the first error; the connections that were made stay.
func (d *Dialer) Warm(ctx context.Context, addr string, n int) error {
	d.mu.Lock()
	missing := min(n, warmMost) - len(d.spares[addr])
	d.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(warmAtOnce)
	for range missing {
		g.Go(func() error {
			greeted, err := d.Dial(ctx, addr)
			if err != nil {
				return err
			}
			if !d.keep(greeted, warmMost) {
				d.discard([]*Greeted{greeted})
			}
			return nil
		})
	}
	return g.Wait()
}
