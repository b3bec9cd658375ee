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
	// idleBar is how many percent of a core all idle sessions may take, with everything else onewriter does meanwhile.
	idleBar = 1.5
)

// settleTime is how long a proxy may tidy up after the logins before it is measured.
const settleTime = 3 * time.Second

// warmSessions are opened before the base is taken, so that pools and code pages do not count as sessions.
const warmSessions = 50

// sessions measures the memory of sessions that do nothing, on proxies that have done nothing before.
func sessions(ctx context.Context, r *rig, t *table) error {
	memory := func(n int) func(before, after int64, _ float64) sample {
		return func(before, after int64, _ float64) sample {
			s := sample{name: "KiB/session", value: float64(after-before) / 1024 / float64(n)}
			if n >= sessionBarFrom && r.tls == plain {
				s.limit = sessionBar
			}
			return s
		}
	}
	if err := r.idlers(ctx, t, r.o.sessions, memory(r.o.sessions)); err != nil {
		return err
	}
	r.tls = clientTLS
	defer func() { r.tls = plain }()
	secured := max(1, r.o.sessions/5)
	return r.idlers(ctx, t, secured, memory(secured))
}

// many measures the CPU time of sessions that do nothing, and of everything else that the proxy does meanwhile.
func many(ctx context.Context, r *rig, t *table) error {
	return r.idlers(ctx, t, r.o.many, func(_, _ int64, cpu float64) sample {
		s := sample{name: "% of a core", value: cpu * 100}
		if r.o.many >= sessionBarFrom {
			s.limit = idleBar
		}
		return s
	})
}

// idlers opens n sessions at each proxy and notes what figure makes of the memory before and after, and of the CPU
// time in cores.
func (r *rig) idlers(ctx context.Context, t *table, n int, figure func(before, after int64, cpu float64) sample) error {
	r.say("%d idle sessions", n)
	if err := r.startProxies(ctx); err != nil {
		return err
	}
	got, err := r.each(0, func(at *target) (samples, error) {
		if at.proc == 0 {
			return nil, nil
		}
		before, after, cpu, err := r.idle(ctx, at, n)
		return samples{figure(before, after, cpu)}, err
	})
	name := fmt.Sprintf("%d idle sessions", n)
	if r.tls != plain {
		name = r.tls.String() + ": " + name
	}
	t.add(name, got)
	return err
}

func (r *rig) idle(ctx context.Context, t *target, n int) (before, after int64, cpu float64, err error) {
	var open []driver.Conn
	defer func() { closeAll(open) }()
	if open, err = r.open(ctx, t, warmSessions); err != nil {
		return 0, 0, 0, err
	}
	if before, err = t.proc.rss(); err != nil {
		return 0, 0, 0, err
	}
	more, err := r.open(ctx, t, n)
	open = append(open, more...)
	if err == nil {
		err = wait(ctx, settleTime)
	}
	if err != nil {
		return 0, 0, 0, err
	}
	if after, err = t.proc.rss(); err != nil {
		return 0, 0, 0, err
	}
	spent, err := t.proc.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	began := time.Now()
	if err := wait(ctx, r.o.idle); err != nil {
		return 0, 0, 0, err
	}
	later, err := t.proc.cpu()
	runtime.KeepAlive(open)
	return before, after, (later - spent).Seconds() / time.Since(began).Seconds(), err
}

// closeAll hangs up, some at a time: each takes a round trip.
func closeAll(conns []driver.Conn) {
	var g errgroup.Group
	g.SetLimit(32)
	for _, c := range conns {
		g.Go(c.Close)
	}
	_ = g.Wait()
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
