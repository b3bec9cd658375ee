package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// connectWorkers is how many clients connect at once.
const connectWorkers = 4

// connectBar is how many times the CPU time of HAProxy, which does not log in anywhere, a short session may cost.
const connectBar = 2

// config is how the go driver reaches a target.
func (r *rig) config(t *target) *mysql.Config {
	c := mysql.NewConfig()
	c.Net, c.Addr = "tcp", fmt.Sprintf("127.0.0.1:%d", t.port)
	c.User, c.Passwd, c.DBName = mysqltest.AppUser, mysqltest.AppPassword, "app"
	c.Timeout, c.ReadTimeout = 10*time.Second, 60*time.Second
	c.Logger = &mysql.NopLogger{} // slow readers are hung up on
	r.secure(c, t)
	return c
}

// connects measures connect, SELECT 1, quit.
func connects(ctx context.Context, r *rig, t *table) error {
	r.say("connects: %d rounds of %d", r.o.rounds, r.o.connects)
	for round := range r.o.rounds {
		got, err := r.each(round, func(at *target) (samples, error) { return r.connect(ctx, at) })
		if err != nil {
			return err
		}
		t.add("connect, SELECT 1, quit", got)
	}
	return nil
}

func (r *rig) connect(ctx context.Context, t *target) (samples, error) {
	connector, err := mysql.NewConnector(r.config(t))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(-1) // every statement connects
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, "SELECT 1"); err != nil { // the first login may fetch what later ones remember
		return nil, err
	}
	before, err := t.proc.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	n := max(1, r.o.connects/connectWorkers)
	for range connectWorkers {
		g.Go(func() error {
			for range n {
				var one int
				if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	took, total := time.Since(began), float64(n*connectWorkers)
	after, err := t.proc.cpu()
	s := samples{{name: "connects/s", value: total / took.Seconds()}}
	if t.proc != 0 {
		s = append(s, sample{name: "CPU µs/connect", value: (after - before).Seconds() * 1e6 / total, bar: connectBar})
	}
	return s, err
}
