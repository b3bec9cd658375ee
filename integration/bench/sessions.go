package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"runtime"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"
)

// sessionBar is how many KiB of memory an idle session may hold, where there are so many that the heap's fixed share does
// not count.
const (
	sessionBar     = 12
	sessionBarFrom = 2000
)

// settleTime is how long a proxy may tidy up after the logins before it is measured.
const settleTime = 3 * time.Second

// warmSessions are opened before the base is taken, so that pools and code pages do not count as sessions.
const warmSessions = 50

// sessions measures the memory and CPU time of sessions that do nothing, on proxies that have done nothing before.
func sessions(ctx context.Context, r *rig, t *table) error {
	r.say("%d idle sessions", r.o.sessions)
	if err := r.startProxies(ctx); err != nil {
		return err
	}
	got, err := r.each(0, func(at *target) (samples, error) {
		if at.proc == 0 {
			return nil, nil
		}
		return r.idle(ctx, at)
	})
	t.add(fmt.Sprintf("%d idle sessions", r.o.sessions), got)
	return err
}

func (r *rig) idle(ctx context.Context, t *target) (s samples, err error) {
	var open []driver.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	if open, err = r.open(ctx, t, warmSessions); err != nil {
		return nil, err
	}
	before, err := t.proc.rss()
	if err != nil {
		return nil, err
	}
	more, err := r.open(ctx, t, r.o.sessions)
	open = append(open, more...)
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, settleTime); err != nil {
		return nil, err
	}
	after, err := t.proc.rss()
	if err != nil {
		return nil, err
	}
	spent, err := t.proc.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := wait(ctx, r.o.idle); err != nil {
		return nil, err
	}
	later, err := t.proc.cpu()
	runtime.KeepAlive(open)
	memory := sample{name: "KiB/session", value: float64(after-before) / 1024 / float64(r.o.sessions)}
	if r.o.sessions >= sessionBarFrom {
		memory.limit = sessionBar
	}
	return samples{
		memory,
		{name: "% of a core", value: (later - spent).Seconds() / time.Since(began).Seconds() * 100},
	}, err
}

// open logs in n sessions, a few at a time, and runs one statement in each.
func (r *rig) open(ctx context.Context, t *target, n int) ([]driver.Conn, error) {
	connector, err := mysql.NewConnector(r.config(t))
	if err != nil {
		return nil, err
	}
	conns := make([]driver.Conn, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range conns {
		g.Go(func() error {
			c, err := connector.Connect(ctx)
			if err != nil {
				return err
			}
			conns[i] = c
			return c.(driver.Pinger).Ping(ctx)
		})
	}
	err = g.Wait()
	opened := conns[:0]
	for _, c := range conns {
		if c != nil {
			opened = append(opened, c)
		}
	}
	return opened, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
