package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
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
	work    chan work
	shown   detect.Verdict // the verdict that the journal has
	lapse   lapse          // whether the watchdog has closed the primary

	acting     context.Context    // of all steps; it outlives Run's, so that what was begun comes to an end
	cancelStep context.CancelFunc // of the step in progress or the last one; nil before the first
}

// work is a step on its way to the executor.
type work struct {
	ctx context.Context
	act actRun
}

// record is one request, or a failover that nobody asked for, and what has been measured of it.
type record struct {
	id     string
	in     input
	reply  chan reply // capacity 1
	begun  time.Time
	phases []Phase
}

// reply has one of the results.
type reply struct {
	result   Result
	failover FailoverResult
	rejoin   RejoinResult
	err      error
}

// New checks cfg and prepares a controller. It starts nothing.
func New(cfg Config) (*Controller, error) {
	cfg, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	c := &Controller{
		cfg: cfg, log: cfg.Logger,
		requests: make(chan *record), stopped: make(chan struct{}), pending: map[string]*record{}, work: make(chan work, 1),
		state: state{cluster: cfg.Cluster, limits: cfg.Limits, policy: cfg.Policy, haveReplication: cfg.Replication.User != ""},
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
	id := c.newID("sw")
	out, err := c.request(ctx, id, inRequest{ID: id, Req: req})
	if err != nil {
		return Result{}, err
	}
	return out.result, out.err
}

// Failover moves the primary role without the old primary's help. Errors are those of Switchover.
func (c *Controller) Failover(ctx context.Context, req FailoverRequest) (FailoverResult, error) {
	id := c.newID("fo")
	out, err := c.request(ctx, id, inFailover{ID: id, Req: req, Now: time.Now()})
	if err != nil {
		return FailoverResult{}, err
	}
	return out.failover, out.err
}

// Rejoin brings back a server that was left behind. Errors are those of Switchover; when the server is not clean and the
// method does not cure that, a *RefusedError together with a result that says what only the server has.
func (c *Controller) Rejoin(ctx context.Context, req RejoinRequest) (RejoinResult, error) {
	id := c.newID("rj")
	out, err := c.request(ctx, id, inRejoin{ID: id, Req: req, Now: time.Now()})
	if err != nil {
		return RejoinResult{}, err
	}
	return out.rejoin, out.err
}

func (c *Controller) newID(kind string) string {
	return fmt.Sprintf("%s-%s-%d", kind, time.Now().UTC().Format("20060102T150405"), c.seq.Add(1))
}

// request hands in to the machine and waits for its answer.
func (c *Controller) request(ctx context.Context, id string, in input) (reply, error) {
	r := &record{id: id, in: in, begun: time.Now(), reply: make(chan reply, 1)}
	select {
	case c.requests <- r:
	case <-c.stopped:
		return reply{}, ErrStopped
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
	select {
	case out := <-r.reply:
		return out, nil
	case <-c.stopped:
		select {
		case out := <-r.reply:
			return out, nil
		default:
			return reply{}, ErrStopped
		}
	case <-ctx.Done():
		return reply{}, ctx.Err()
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
	var cancel context.CancelFunc
	c.acting, cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.exec = &executor{cfg: c.cfg, servers: servers, report: c.append}
	results := make(chan done)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for w := range c.work {
			results <- c.exec.do(w.ctx, w.act)
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
				c.feed(c.insight(snap))
			}
		case <-tick.C:
			c.feed(inTick{Now: time.Now()})
		case r := <-c.requests:
			c.pending[r.id] = r
			c.feed(r.in)
		case d := <-results:
			c.finishedStep(d)
			d.Now = time.Now()
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

// insight is a snapshot as the machine wants it.
func (c *Controller) insight(snap *topology.Snapshot) inSights {
	in := inSights{Sights: sightsOf(snap, c.state.subject().Name), Now: time.Now(), Verdict: detect.Judge(snap, c.state.subject().Name, c.cfg.Detect)}
	if c.cfg.Findings != nil {
		in.Findings = c.cfg.Findings()
	}
	in.Lapsed = c.lapse.see(snap, c.state.primary.Instance.Name, c.cfg, in.Now)
	if in.Verdict.Kind != c.shown.Kind || in.Verdict.Primary != c.shown.Primary {
		c.shown = in.Verdict
		c.append(Event{Kind: "verdict", Primary: in.Verdict.Primary, Outcome: in.Verdict.Kind.String(), Reasons: in.Verdict.Evidence})
	}
	return in
}

// feed runs the machine on one input and does what it says.
func (c *Controller) feed(in input) {
	before := c.state
	next, actions := step(c.state, in)
	c.state = next
	if before.plan != nil && next.plan == nil && !before.plan.onlyLooked() {
		c.settled = time.Now()
	}
	c.tellReturned(before.known.Away)
	c.publishStatus(before)
	for _, a := range actions {
		switch a := a.(type) {
		case actRun:
			c.begin(a)
		case actReply:
			c.answer(a)
		case actGate:
			c.gate(a)
		case actCancel:
			if c.cancelStep != nil {
				c.cancelStep()
			}
		case actStop:
			c.ended = true
			if a.Denied {
				c.fatal = c.exec.denied
			}
		}
	}
}

// tellReturned names the servers that are not away any more.
func (c *Controller) tellReturned(before []coord.Departure) {
	if c.cfg.Returned == nil || len(before) == 0 {
		return
	}
	for _, d := range before {
		if !slices.ContainsFunc(c.state.known.Away, func(n coord.Departure) bool { return n.Server == d.Server }) {
			c.cfg.Returned(d.Server)
		}
	}
}

// begin hands a step to the executor. There is never more than one on its way, so this does not block. The step can be
// cancelled from here on, also before the executor has taken it up.
func (c *Controller) begin(a actRun) {
	c.announce(a)
	c.log.Debug().Str("action", describe(a)).Msg("step begins")
	if c.cancelStep != nil {
		c.cancelStep() // the step before is over: this only releases its context
	}
	w := work{act: a}
	w.ctx, c.cancelStep = context.WithCancel(c.acting)
	c.work <- w
}

// announce records that an operation begins.
func (c *Controller) announce(a actRun) {
	p := c.state.plan
	e := Event{Kind: "begin", Operation: a.Op.ID, Epoch: c.state.primary.Epoch, Primary: a.Op.From.Name}
	switch {
	case a.Op.ID == "":
		return
	case a.Step == stepPrecheck:
		e.Evidence = map[string]string{"to": p.req.To, "dry_run": fmt.Sprint(p.req.DryRun), "by": p.req.By}
	case a.Step == stepAssess && !p.auto, a.Step == stepNote && p.auto:
		e.Reasons = append([]string{c.state.trouble()}, c.state.verdict.Evidence...)
		e.Evidence = map[string]string{"verdict": c.state.verdict.Kind.String(), "to": p.failover.To, "force": fmt.Sprint(p.failover.Force), "dry_run": fmt.Sprint(p.failover.DryRun), "by": p.failover.By}
	case a.Step == stepQuarantine:
		e.Primary = a.Op.To.Name
		e.Evidence = map[string]string{"server": a.Op.Server, "method": p.rejoin.Method, "dry_run": fmt.Sprint(p.rejoin.DryRun), "by": p.rejoin.By}
	default:
		return
	}
	if c.current = c.pending[a.Op.ID]; c.current == nil {
		c.current = &record{id: a.Op.ID, in: inFailover{ID: a.Op.ID}, begun: time.Now(), reply: make(chan reply, 1)}
		c.pending[a.Op.ID] = c.current
	}
	c.append(e)
}

// gate makes clients wait or lets them go on.
func (c *Controller) gate(a actGate) {
	if a.Hold {
		now := time.Now()
		c.exec.gated.Store(&now)
		c.cfg.DataPath.Hold(a.Reason)
	} else {
		c.exec.gated.Store(nil)
		c.cfg.DataPath.Resume()
	}
	c.append(Event{Kind: "gate", Outcome: map[bool]string{true: "held", false: "released"}[a.Hold], Reasons: []string{a.Reason}})
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
	if c.boring(d) {
		return
	}
	c.append(Event{Kind: "step", Operation: op, Step: string(d.Step), Outcome: d.Outcome.String(), MS: ms, Reasons: d.Reasons, Evidence: d.Evidence})
}

// boring reports whether a step says nothing new: looks that are taken again and again.
func (c *Controller) boring(d done) bool {
	if d.Outcome != outcomeOK {
		return d.Step == stepPeek
	}
	auto := c.state.plan != nil && c.state.plan.auto
	return d.Step == stepInspect && c.state.booted || d.Step == stepPeek || d.Step == stepAssess && auto
}

// publishStatus makes the state visible and records a change of it.
func (c *Controller) publishStatus(before state) {
	s := c.state
	old := c.status.Load()
	now := statusOf(s)
	now.Cluster, now.Since = c.cfg.Cluster, old.Since
	if now.State != old.State {
		now.Since = time.Now()
	}
	c.status.Store(now)
	if describeState(before) == describeState(s) {
		return
	}
	c.log.Info().Stringer("state", now.State).Str("primary", now.Primary).Uint64("epoch", uint64(now.Epoch)).Strs("reasons", now.Reasons).Msg("cluster state changed")
	c.append(Event{Kind: "state", State: now.State.String(), Epoch: now.Epoch, Primary: now.Primary, Reasons: now.Reasons})
}

// append writes to the journal; a disk that fails is logged and does not stop anything.
func (c *Controller) append(e Event) {
	e.At, e.Cluster = time.Now().UTC(), c.cfg.Cluster
	if _, err := c.cfg.Journal.Append(e); err != nil {
		c.log.Error().Err(err).Msg("journal not written")
	}
}
