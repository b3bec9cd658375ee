package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/demo"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// Timing of the demo.
const (
	demoWarmUp  = time.Second            // of load before the first switchover
	demoSettle  = 150 * time.Millisecond // after a switchover, for its pause to show with the clients
	demoThink   = 5 * time.Millisecond   // of a client between two statements
	demoRefresh = time.Second            // of the status line
)

// show is one run of the demo.
type show struct {
	options demoOptions
	stage   *stage
	ledger  *demo.Ledger
	watch   *demo.Watch
	screen  *demoScreen
	result  *demo.Result
}

// runDemo plays the demo and returns what came out. The error is about the demo itself.
func runDemo(ctx context.Context, o demoOptions, f mysqltest.Flavor, w io.Writer) (_ *demo.Result, err error) {
	d := &show{options: o, ledger: demo.NewLedger(), screen: newDemoScreen(w, o.output == "json"), result: &demo.Result{Flavor: f.String()}}
	d.screen.title(f)
	// The driver would write to the screen; whatever it has to say comes as an error, too.
	if err := mysql.SetLogger(&mysql.NopLogger{}); err != nil {
		return nil, err
	}
	if err := ensureInstalled(ctx, f, d.screen.note); err != nil {
		return nil, err
	}
	began := time.Now()
	if d.stage, err = newStage(ctx, o, f); err != nil {
		return nil, err
	}
	defer func() {
		d.screen.note("cleaning up")
		err = errors.Join(err, d.stage.close(context.WithoutCancel(ctx)))
	}()
	if d.result.Versions, err = d.versions(ctx); err != nil {
		return nil, err
	}
	d.result.DSN = d.stage.dsn(d.stage.writes)
	d.screen.started(d, time.Since(began))
	if err := d.play(ctx); err != nil {
		return nil, err
	}
	if err := d.judge(ctx); err != nil {
		return nil, err
	}
	return d.result, d.screen.verdict(d.result)
}

func (d *show) versions(ctx context.Context) ([]string, error) {
	var out []string
	for _, s := range d.stage.servers() {
		var v string
		if err := s.DB.QueryRowContext(ctx, "SELECT @@version").Scan(&v); err != nil {
			return nil, fmt.Errorf("asking %s for its version: %w", s.Name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// play runs the load with everything beside it, until the time is over or ctx is done.
func (d *show) play(ctx context.Context) error {
	load := demo.NewLoad(demo.Config{
		Writes: d.stage.dsn(d.stage.writes), Reads: d.stage.dsn(d.stage.reads),
		Writers: d.options.writers, Readers: d.options.readers, Think: demoThink,
	}, d.ledger)
	if err := load.Prepare(ctx); err != nil {
		return fmt.Errorf("%w\nend of the proxy's log:\n%s", err, d.stage.proxy.Log())
	}
	d.watch = demo.NewWatch(d.stage.status, d.ledger)
	began := time.Now()
	g, running := errgroup.WithContext(ctx)
	running, stop := context.WithCancel(running)
	defer stop()
	g.Go(func() error { return load.Run(running) })
	g.Go(func() error { return d.watch.Run(running) })
	g.Go(func() error { return d.screen.live(running, d) })
	g.Go(func() error {
		select {
		case <-d.stage.proxy.Done():
			return fmt.Errorf("the proxy ended\nend of its log:\n%s", d.stage.proxy.Log())
		case <-running.Done():
			return nil
		}
	})
	g.Go(func() error {
		defer stop()
		d.direct(running)
		return nil
	})
	err := g.Wait()
	d.result.Seconds = time.Since(began).Seconds()
	return err
}

// direct asks for the switchovers, and returns when the show is over.
func (d *show) direct(ctx context.Context) {
	var end <-chan time.Time
	if d.options.length > 0 {
		end = time.After(d.options.length)
	}
	next := time.After(min(demoWarmUp, max(d.options.length/3, demoWarmUp/3)))
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-next:
		}
		d.switchover(ctx)
		if next = nil; d.options.every > 0 {
			next = time.After(d.options.every)
		} else if d.options.length == 0 {
			d.screen.invite(d.stage)
		}
	}
}

// switchover asks for one switchover and notes what clients saw of it. One that has begun is always waited for.
func (d *show) switchover(ctx context.Context) {
	d.ledger.Window()
	moved, err := d.stage.admin.Switchover(context.WithoutCancel(ctx), demoCluster, api.SwitchoverRequest{})
	if err != nil {
		d.result.FailedSwitchovers++
		d.result.Errors = append(d.result.Errors, "switchover: "+err.Error())
		d.screen.failed(err)
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(demoSettle):
	}
	pause := d.ledger.Window()
	d.result.Switchovers++
	d.result.PausesMS = append(d.result.PausesMS, milliseconds(pause))
	d.result.ReportedPausesMS = append(d.result.ReportedPausesMS, moved.PauseMS)
	d.result.SessionsMoved += moved.SessionsMoved
	d.result.SessionsClosed += len(moved.SessionsClosed)
	d.screen.moved(moved, pause)
}

// judge compares the servers with what the clients were told. Ctrl-C ended the load at most; only another one ends this.
func (d *show) judge(ctx context.Context) error {
	d.screen.note("the load is over; comparing the servers")
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	v, err := demo.Verify(ctx, d.stage.servers(), d.ledger, d.watch.Reigns())
	if err != nil {
		return err
	}
	st, err := d.stage.status(ctx)
	if err != nil {
		return err
	}
	s, r := d.ledger.Stats(), d.result
	r.Acknowledged, r.Reads, r.ClientErrors = s.Acknowledged, s.Reads, s.Errors
	r.Errors = append(r.Errors, s.Samples...)
	r.LongestPauseMS = milliseconds(s.Longest)
	r.Lost, r.Misplaced, r.Placed, r.ChecksumsEqual = v.Lost, v.Misplaced, v.Placed, v.ChecksumsEqual
	r.RowsByServer, r.RowsByEpoch, r.Primary = v.Rows, v.RowsByEpoch, st.Primary
	r.Held = len(r.Broken()) == 0
	return nil
}

// milliseconds rounds to hundredths.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}
