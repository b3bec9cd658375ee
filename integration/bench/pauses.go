package main

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/admin/client"
)

// writers is how many clients write during a switchover.
const writers = 8

// pauses measures how long nobody can write during a switchover under load. It leaves the first server as the primary.
func pauses(ctx context.Context, r *rig, t *table) error {
	r.say("%d switchovers there and back with %d writers", r.o.pauses, writers)
	admin, err := client.New(r.targets[onewriter].admin, "")
	if err != nil {
		return err
	}
	connector, err := mysql.NewConnector(r.config(r.targets[onewriter]))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS written (id BIGINT AUTO_INCREMENT PRIMARY KEY, n BIGINT)"); err != nil {
		return err
	}
	load, stop := context.WithCancel(ctx)
	var longest atomic.Int64 // of one statement since the last switchover began
	var g errgroup.Group
	for range writers {
		g.Go(func() error { return write(load, db, &longest) })
	}
	for i := range 2 * r.o.pauses {
		if err = wait(ctx, 300*time.Millisecond); err != nil {
			break
		}
		longest.Store(0)
		var s api.Switchover
		s, err = admin.Switchover(ctx, "bench", api.SwitchoverRequest{To: [...]string{"b", "a"}[i%2]})
		if err != nil {
			break
		}
		if len(s.SessionsClosed) > 0 {
			err = fmt.Errorf("the switchover closed %d sessions", len(s.SessionsClosed))
			break
		}
		_ = wait(ctx, 100*time.Millisecond)
		t.add(fmt.Sprintf("switchover, %d writers", writers), [targets]samples{onewriter: {
			{name: "pause ms", value: s.PauseMS}, {name: "slowest write ms", value: float64(longest.Load()) / 1e6},
		}})
	}
	stop()
	if werr := g.Wait(); err == nil {
		err = werr
	}
	return err
}

// write inserts rows until ctx is done and notes how long the slowest took. No insert may fail.
func write(ctx context.Context, db *sql.DB, longest *atomic.Int64) error {
	for ctx.Err() == nil {
		began := time.Now()
		_, err := db.ExecContext(context.WithoutCancel(ctx), "INSERT INTO written (n) VALUES (1)")
		if err != nil {
			return err
		}
		took := int64(time.Since(began))
		for old := longest.Load(); took > old && !longest.CompareAndSwap(old, took); old = longest.Load() {
		}
	}
	return nil
}
