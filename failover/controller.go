package failover

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/topology"
)

// Controller owns the primary pointer of one cluster. Its methods are safe for concurrent use; Run must run.
type Controller struct {
	cfg      Config
	log      zerolog.Logger
	requests chan *record
	stopped  chan struct{} // closed when Run has ended
	status   atomic.Pointer[Status]
	seq      atomic.Uint64

	// Owned by the goroutine of Run.
	state   state
	exec    *executor
	current *record // the switchover being carried out or parked, nil when there is none
	settled time.Time
	pending map[string]*record // requests that the machine has not answered yet
	fatal   error
	ended   bool
	work    chan actRun
}

// record is one request and what has been measured of it.
type record struct {
	id     string
	req    Request
	reply  chan reply // capacity 1
	begun  time.Time
	phases []Phase
}

type reply struct {
	result Result
	err    error
}

// New checks cfg and prepares a controller. It starts nothing.
func New(cfg Config) (*Controller, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	c := &Controller{
		cfg: cfg, log: cfg.Logger.With().Str("cluster", cfg.Cluster).Logger(),
		requests: make(chan *record), stopped: make(chan struct{}), pending: map[string]*record{}, work: make(chan actRun, 1),
		state: state{cluster: cfg.Cluster, limits: cfg.Limits, haveReplication: cfg.Replication.User != ""},
	}
	c.status.Store(&Status{Cluster: cfg.Cluster, State: StateStarting, Reasons: []string{}, Since: time.Now()})
	return c, nil
}

// Status is the situation now. The value is immutable.
func (c *Controller) Status() Status { return *c.status.Load() }

// Journal is where the controller records what happens.
func (c *Controller) Journal() *Journal { return c.cfg.Journal }

// Switchover moves the primary role and returns when that is over. The error is a *RefusedError when it was not
// begun, an *AbortedError when it was given up, ErrStopped when the controller does not run, or ctx's error; in the
// last case an operation that has begun goes on without its caller.
func (c *Controller) Switchover(ctx context.Context, req Request) (Result, error) {
	now := time.Now()
	r := &record{
		id: fmt.Sprintf("sw-%s-%d", now.UTC().Format("20060102T150405"), c.seq.Add(1)), req: req, begun: now, reply: make(chan reply, 1),
	}
	select {
	case c.requests <- r:
	case <-c.stopped:
		return Result{}, ErrStopped
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	select {
	case out := <-r.reply:
		return out.result, out.err
	case <-c.stopped:
		select {
		case out := <-r.reply:
			return out.result, out.err
		default:
			return Result{}, ErrStopped
		}
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// Run decides who the primary is, publishes it, and serves requests until ctx is done. An operation that is in
// progress then is brought to an end first, within Limits.Stop. It returns a *SetupError when the schema onewriter
// is missing and may not be created, or the control account lacks another right at the start. Run may be called once.
func (c *Controller) Run(ctx context.Context) (err error) {
	servers, err := openServers(c.cfg)
	if err != nil {
		return err
	}
	acting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.exec = &executor{cfg: c.cfg, servers: servers, report: c.append}
	results := make(chan done)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for a := range c.work {
			results <- c.exec.do(acting, a)
		}
	}()
	defer func() {
		cancel()
		close(c.work)
		for waiting := true; waiting; {
			select {
			case <-results: // nobody acts on it any more
			case <-finished:
				waiting = false
			}
		}
		err = errors.Join(err, c.exec.shutdown())
		close(c.stopped)
	}()
	return c.loop(ctx, results)
}

func (c *Controller) loop(ctx context.Context, results <-chan done) error {
	snapshots, cancel := c.cfg.Monitor.Subscribe()
	defer cancel()
	tick := time.NewTicker(c.cfg.Limits.Recheck)
	defer tick.Stop()
	stop := ctx.Done()
	var overdue <-chan time.Time
	c.feed(inBoot{})
	for !c.ended {
		select {
		case <-stop:
			stop = nil
			overdue = time.After(c.cfg.Limits.Stop)
			c.feed(inStop{})
		case <-overdue:
			return fmt.Errorf("stopped while an operation was still going on: %s", describeState(c.state))
		case snap, ok := <-snapshots:
			if !ok {
				snapshots = nil
			} else if c.fresh(snap) {
				c.feed(inSights{Sights: sightsOf(snap)})
			}
		case <-tick.C:
			c.feed(inTick{})
		case r := <-c.requests:
			c.pending[r.id] = r
			c.feed(inRequest{ID: r.id, Req: r.req})
		case d := <-results:
			c.finishedStep(d)
			c.feed(d.inDone)
		}
	}
	return c.fatal
}

// fresh reports whether every observation was begun after the last change that we have made ourselves; an older
// picture would show what we have just changed as a surprise.
func (c *Controller) fresh(snap *topology.Snapshot) bool {
	if snap == nil {
		return false
	}
	for _, o := range snap.Servers {
		if o.At.Before(c.settled) {
			return false
		}
	}
	return true
}

// feed runs the machine on one input and does what it says.
func (c *Controller) feed(in input) {
	before := c.state
	next, actions := step(c.state, in)
	c.state = next
	if before.plan != nil && next.plan == nil {
		c.settled = time.Now()
	}
	c.publishStatus(before)
	for _, a := range actions {
		switch a := a.(type) {
		case actRun:
			c.begin(a)
		case actReply:
			c.answer(a)
		case actStop:
			c.ended = true
			if a.Denied {
				c.fatal = c.exec.denied
			}
		}
	}
}

// begin hands a step to the executor. There is never more than one on its way.
func (c *Controller) begin(a actRun) {
	if a.Step == stepPrecheck {
		c.current = c.pending[a.Op.ID]
		c.append(Event{Kind: "begin", Operation: a.Op.ID, Epoch: c.state.primary.Epoch, Primary: a.Op.From.Name,
			Evidence: map[string]string{"to": c.state.plan.req.To, "dry_run": fmt.Sprint(c.state.plan.req.DryRun), "by": c.state.plan.req.By}})
	}
	c.log.Debug().Str("action", describe(a)).Msg("step begins")
	c.work <- a
}

// finishedStep measures and records a step. Inspections that find the same as before are left out.
func (c *Controller) finishedStep(d done) {
	ms := float64(d.Took.Microseconds()) / 1000
	op := ""
	if p := c.state.plan; p != nil {
		op = p.op.ID
	}
	if c.current != nil && op == c.current.id {
		c.current.phases = append(c.current.phases, Phase{Name: string(d.Step), MS: ms})
	}
	if d.Step == stepInspect && d.Outcome == outcomeOK && c.state.booted {
		return
	}
	c.append(Event{Kind: "step", Operation: op, Step: string(d.Step), Outcome: d.Outcome.String(), MS: ms, Reasons: d.Reasons, Evidence: d.Evidence})
}

// publishStatus makes the state visible and records a change of it.
func (c *Controller) publishStatus(before state) {
	s := c.state
	old := c.status.Load()
	now := &Status{Cluster: c.cfg.Cluster, State: s.mode, Epoch: s.primary.Epoch, Primary: s.primary.Instance.Name, Reasons: append([]string{}, s.reasons...), Since: old.Since}
	if p := s.plan; p != nil && p.op.ID != "" {
		now.Operation = &OperationStatus{ID: p.op.ID, From: p.op.From.Name, To: p.op.To.Name, Step: string(p.step())}
	}
	if s.mode != old.State {
		now.Since = time.Now()
	}
	c.status.Store(now)
	if describeState(before) == describeState(s) {
		return
	}
	c.log.Info().Stringer("state", s.mode).Str("primary", now.Primary).Uint64("epoch", uint64(now.Epoch)).Strs("reasons", now.Reasons).Msg("cluster state changed")
	c.append(Event{Kind: "state", State: s.mode.String(), Epoch: now.Epoch, Primary: now.Primary, Reasons: now.Reasons})
}

// append writes to the journal; a disk that fails is logged and does not stop anything.
func (c *Controller) append(e Event) {
	e.At, e.Cluster = time.Now().UTC(), c.cfg.Cluster
	if _, err := c.cfg.Journal.Append(e); err != nil {
		c.log.Error().Err(err).Msg("journal not written")
	}
}
