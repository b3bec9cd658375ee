package demo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// show is one run of the demo.
type show struct {
	o      Options
	story  *story
	stage  *stage
	load   *load
	ids    atomic.Int64
	reigns []reign
	result Result
}

// slowMS is from which pause on, in milliseconds, the steps of a switchover are told in any case.
const slowMS = 50

// errInterrupted is the end of a demo that was ended before there was anything to say.
var errInterrupted = errors.New("interrupted, everything was cleaned up")

// Run shows the demo and leaves nothing behind, whenever ctx is done. The result is complete when the error is nil;
// whether the promise held is in it.
func Run(ctx context.Context, o Options) (Result, error) {
	d := &show{o: o, story: &story{w: o.Story, terminal: o.Terminal}, result: empty(o.Flavor.String())}
	err := o.Validate()
	if err == nil {
		err = d.run(ctx)
	}
	if err != nil {
		d.result.PromiseHeld = false
		d.result.addError(err.Error())
	}
	return d.result, err
}

func (d *show) run(ctx context.Context) (err error) {
	d.story.title(d.o)
	// Pools that find a connection closed, as those for looking at the servers do after a fence, would print that.
	if err := mysql.SetLogger(&mysql.NopLogger{}); err != nil {
		return err
	}
	if err := ensureServers(ctx, d.o.Flavor, d.o.Story); err != nil {
		return interrupted(ctx, err)
	}
	if d.stage, err = newStage(); err != nil {
		return err
	}
	defer func() {
		d.story.wipe()
		if cerr := d.stage.close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("clean up: %w", cerr))
		}
	}()
	if err := d.perform(ctx); err != nil {
		return interrupted(ctx, err)
	}
	if d.o.For == 0 {
		d.stay(ctx)
	}
	return nil
}

// interrupted replaces whatever failed because the user ended the demo.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// perform goes from nothing to the result.
func (d *show) perform(ctx context.Context) error {
	if err := d.setUp(ctx); err != nil {
		return err
	}
	var err error
	began := time.Now()
	if d.load, err = newLoad(ctx, d.stage.addrs, d.o, writerPause, &d.ids); err != nil {
		return fmt.Errorf("%w\n%s", err, d.stage.serve.Tail(logTail))
	}
	defer d.load.close()
	d.story.done(time.Since(began), "%d writers and %d readers are connected through onewriter and work", d.o.Writers, d.o.Readers)
	if err := d.runLoad(ctx); err != nil {
		return err
	}
	return d.conclude(ctx)
}

func (d *show) setUp(ctx context.Context) error {
	began := time.Now()
	d.story.now("starting two %s servers", d.o.Flavor)
	if err := d.stage.startServers(ctx, d.o.Flavor); err != nil {
		return err
	}
	if err := d.stage.pair.Servers[0].DB().QueryRowContext(ctx, "SELECT @@version").Scan(&d.result.ServerVersion); err != nil {
		return fmt.Errorf("ask for the server's version: %w", err)
	}
	s := d.stage.pair.Servers
	d.story.done(time.Since(began), "a (port %d) and b (port %d): real %s servers that replicate to each other", s[0].Port, s[1].Port, product(d.o.Flavor, d.result.ServerVersion))
	began = time.Now()
	d.story.now("starting onewriter")
	if err := d.stage.startOnewriter(ctx, d.o.Program); err != nil {
		return err
	}
	a := d.stage.addrs
	d.story.done(time.Since(began), "onewriter: primary at %s, standby at %s, admin at %s", a.primary, a.standby, a.admin)
	if !d.stage.usual {
		d.story.note("not all of the usual ports 6446, 6447 and 8989 were free: these are others")
	}
	return nil
}

// runLoad runs the load and asks for switchovers meanwhile.
func (d *show) runLoad(ctx context.Context) error {
	status, err := d.stage.admin.Cluster(ctx, clusterName)
	if err != nil {
		return err
	}
	d.result.Primary = status.Primary
	d.load.start(d.o)
	d.reigns = []reign{{server: d.server(status.Primary).ServerID, from: time.Since(d.load.began)}}
	for _, at := range d.o.schedule() {
		if err := d.wait(ctx, at); err != nil {
			return err
		}
		if err := d.move(ctx); err != nil {
			return err
		}
	}
	if err := d.wait(ctx, d.o.duration()); err != nil {
		return err
	}
	d.reigns[len(d.reigns)-1].to = time.Since(d.load.began)
	return nil
}

// wait waits until the load has run for at, and shows how it does.
func (d *show) wait(ctx context.Context, at time.Duration) error {
	timer := time.NewTimer(at - time.Since(d.load.began))
	defer timer.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case <-tick.C:
			d.story.now("%s writes acknowledged, %s reads, %d client errors", thousands(int(d.load.acknowledged.Load())), thousands(int(d.load.readCount.Load())), d.load.failures())
		case <-d.stage.serve.Done():
			return fmt.Errorf("onewriter serve ended under load (%w):\n%s", endOf(d.stage.serve.Err()), d.stage.serve.Tail(logTail))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// move asks for a switchover to the other server and notes the answer.
func (d *show) move(ctx context.Context) error {
	before := &d.reigns[len(d.reigns)-1]
	before.to = time.Since(d.load.began)
	answer, err := d.stage.admin.Switchover(ctx, clusterName, api.SwitchoverRequest{To: other(d.result.Primary)})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	at := time.Since(d.load.began)
	if err != nil {
		d.result.SwitchoversFailed++
		d.result.addError(fmt.Sprintf("switchover at %.3f s: %v", before.to.Seconds(), err))
		d.story.failed("switchover to %s: %v", other(d.result.Primary), err)
		// Whoever is primary now, it is not known from when on: no reign begins. One of no length holds its place.
		d.reigns = append(d.reigns, reign{server: before.server, from: at, to: at})
		return nil
	}
	d.result.Switchovers++
	d.result.PausesMS = append(d.result.PausesMS, answer.PauseMS)
	d.result.SessionsClosed += len(answer.SessionsClosed)
	d.result.Primary = answer.To
	d.reigns = append(d.reigns, reign{server: d.server(answer.To).ServerID, from: at})
	d.story.move(before.to, answer, d.o.For == 0 || answer.PauseMS > slowMS)
	return nil
}

// server finds a server by its name in the configuration.
func (d *show) server(name string) *mysqltest.Server {
	if name == serverName(1) {
		return d.stage.pair.Servers[1]
	}
	return d.stage.pair.Servers[0]
}

// conclude stops the load, compares the servers and judges.
func (d *show) conclude(ctx context.Context) error {
	d.load.stop()
	d.result.Seconds = time.Since(d.load.began).Round(time.Millisecond).Seconds()
	began := time.Now()
	d.story.now("waiting for both servers to have the same history")
	status, err := d.stage.admin.Cluster(ctx, clusterName)
	if err != nil {
		return err
	}
	d.result.Primary = status.Primary
	if status.Primary == "" {
		return fmt.Errorf("the cluster has no primary after the load, its state is %s: %v", status.State, status.Reasons)
	}
	if err := sameHistory(ctx, d.server(status.Primary), d.server(other(status.Primary))); err != nil {
		return err
	}
	if err := d.compare(ctx); err != nil {
		return err
	}
	r := &d.result
	r.Acknowledged, r.Reads, r.Reconnects = len(d.load.acks), int(d.load.readCount.Load()), int(d.load.opened.Load())
	r.ClientErrors = d.load.failures()
	for _, e := range d.load.errs {
		r.addError(e)
	}
	inMove := func(from, to time.Duration) bool { return betweenReigns(from, to, d.reigns) }
	gap, at := longestGap(d.load.acks, always)
	r.LongestPauseMS, r.LongestPauseAtS = millis(gap), at.Round(time.Millisecond).Seconds()
	r.LongestPauseInSwitchover = inMove(at, at+gap)
	gap, _ = longestGap(d.load.acks, inMove)
	r.LongestSwitchoverPauseMS = millis(gap)
	r.PromiseHeld = r.held()
	d.story.done(time.Since(began), "load ended; both servers have the same history, every row was compared")
	d.story.result(d.result)
	return nil
}

// millis gives milliseconds with one decimal.
func millis(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
