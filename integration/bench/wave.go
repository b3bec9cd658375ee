package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/admin/client"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

const (
	// waveBar is how many milliseconds all the idle sessions may add to the pause of a switchover.
	waveBar = 50
	// wakers is how many of the sessions run their next statement at a time.
	wakers = 64
)

// wave measures a switchover with many idle sessions: how much it adds to the pause, and how long it takes until all of
// them have run a statement on the new primary, as fast as they can. None may be rebuilt before.
func wave(ctx context.Context, r *rig, t *table) error {
	r.say("%d switchovers there and back, without and with %d idle sessions", r.o.pauses, r.o.sessions)
	if err := r.startProxies(ctx); err != nil {
		return err
	}
	none, err := r.moves(ctx, nil, t)
	if err != nil {
		return err
	}
	open, err := r.open(ctx, r.targets[onewriter], r.o.sessions)
	defer func() { closeAll(open) }()
	if err != nil {
		return err
	}
	with, err := r.moves(ctx, open, t)
	if err != nil {
		return err
	}
	added := sample{name: "added pause ms", value: spreadOf(with).Median - spreadOf(none).Median, limit: waveBar}
	t.add(r.waveName(), [targets]samples{onewriter: {added}})
	return nil
}

func (r *rig) waveName() string { return fmt.Sprintf("switchover, %d idle sessions", r.o.sessions) }

// moves moves the primary there and back and gives the pauses in milliseconds. After each move all sessions run a
// statement.
func (r *rig) moves(ctx context.Context, open []driver.Conn, t *table) (pauses []float64, err error) {
	admin, err := client.New(r.targets[onewriter].admin, "")
	if err != nil {
		return nil, err
	}
	for i := range 2 * r.o.pauses {
		to := 1 - i%2
		s, err := admin.Switchover(ctx, "bench", api.SwitchoverRequest{To: string(rune('a' + to))})
		if err != nil {
			return nil, err
		}
		pauses = append(pauses, s.PauseMS)
		if len(open) == 0 {
			continue
		}
		var early int // connections that are made ahead have no account yet
		err = r.pair.Servers[to].DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = ?", mysqltest.AppUser).Scan(&early)
		if err != nil {
			return nil, err
		}
		if early > 0 {
			return nil, fmt.Errorf("%d sessions are on the new primary before they have run a statement", early)
		}
		took, slowest, err := wake(ctx, open)
		if err != nil {
			return nil, err
		}
		t.add(r.waveName(), [targets]samples{onewriter: {
			{name: "pause ms", value: s.PauseMS},
			{name: "sessions/s rebuilt", value: float64(len(open)) / took.Seconds()},
			{name: "slowest first statement ms", value: slowest.Seconds() * 1e3},
		}})
	}
	return pauses, nil
}

// wake runs a statement in each session.
func wake(ctx context.Context, open []driver.Conn) (took, slowest time.Duration, err error) {
	var next, longest atomic.Int64
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for range wakers {
		g.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(open)); i = next.Add(1) - 1 {
				asked := time.Now()
				if _, err := open[i].(driver.ExecerContext).ExecContext(ctx, "DO 1", nil); err != nil {
					return fmt.Errorf("session %d after the switchover: %w", i, err)
				}
				d := int64(time.Since(asked))
				for old := longest.Load(); d > old && !longest.CompareAndSwap(old, d); old = longest.Load() {
				}
			}
			return nil
		})
	}
	err = g.Wait()
	return time.Since(began), time.Duration(longest.Load()), err
}
