package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// carryOutFailover dispatches the steps of a failover.
func (e *executor) carryOutFailover(ctx context.Context, a actRun, out *done) error {
	ev := evidence(out.Evidence)
	switch a.Step {
	case stepAssess:
		out.View = e.assess(ctx, a.Op.From)
		ev.describe(out.View)
		return nil
	case stepCutoff:
		return e.cutoff(ctx, a, ev)
	case stepFenceOld:
		err := e.fenceOld(ctx, a, ev)
		if err == nil {
			out.Gone.Fence = e.run.proof.Kind().String()
		}
		return err
	case stepSilence:
		return e.silence(ctx, a, ev)
	case stepApply:
		return e.applyBacklog(ctx, a, ev)
	case stepWeigh:
		return e.weigh(ctx, a, out)
	case stepDetach:
		return e.detach(ctx, a, out)
	case stepPark:
		return e.park(ctx, a)
	case stepReconnect:
		return e.reconnect(ctx, a, ev)
	default:
		return fmt.Errorf("unknown step %q", a.Step)
	}
}

// assess looks at all servers but the one that is gone. That one keeps what was known of it.
func (e *executor) assess(ctx context.Context, from topology.Instance) view {
	v := make(view, len(e.cfg.Servers))
	var wg sync.WaitGroup
	for i, instance := range e.cfg.Servers {
		if instance == from {
			v[i] = serverView{Instance: instance, Err: "it is the primary that has failed", Lag: -1}
			if o, _ := e.cfg.Monitor.Snapshot().Find(from.Name); !o.FactsAt.IsZero() {
				v[i].Facts = o.Facts
			} else {
				v[i].Facts.ServerID = e.servers[from.Name].serverID()
			}
			continue
		}
		wg.Go(func() {
			v[i] = e.inspectOne(ctx, instance, "")
			if v[i].ok() {
				e.assessOne(ctx, from, &v[i])
			}
		})
	}
	wg.Wait()
	e.findTwins(ctx, v)
	return v
}

// assessOne adds what would be lost with the candidate as far as it can be told before its backlog is applied.
func (e *executor) assessOne(ctx context.Context, from topology.Instance, v *serverView) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
	defer cancel()
	v.WindowMS = -1
	conn, d, err := e.servers[v.Instance.Name].conn(ctx)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }() // back to the pool
	if semi, err := d.SemiSync(ctx, conn); err == nil {
		v.SemiSyncReplica = semi.Replica && e.semiSyncWas(from).Source
	}
	link, ok := linkTo(v.Facts.Links, from, e.servers[from.Name])
	v.Drained = ok && drained(link)
	l := e.lossOf(ctx, conn, from, v.Instance, v.Facts)
	v.WindowMS = l.WindowMS
	if v.Drained {
		v.AtLeast = l.AtLeast
	}
}

// cutoff lets no answer of the old primary reach a client any more, and nothing new go there.
func (e *executor) cutoff(ctx context.Context, a actRun, ev evidence) error {
	if e.stopFollower != nil {
		e.stopFollower()
		e.stopFollower = nil
	}
	e.dropRun()
	e.run = &run{from: e.servers[a.Op.From.Name], to: e.servers[a.Op.To.Name], heldAt: time.Now()}
	if since := e.gated.Load(); since != nil {
		e.run.heldAt = *since
	}
	e.cfg.DataPath.Hold(fmt.Sprintf("failover from %s to %s", a.Op.From.Name, a.Op.To.Name))
	e.cfg.DataPath.Throttle(0)
	e.cfg.DataPath.Publish(topology.Primary{Epoch: a.Publish.Epoch})
	e.run.closed = e.cfg.DataPath.Cutoff(a.Op.From.Name, &FailoverError{From: a.Op.From.Name})
	ev.add("closed", "%d", len(e.run.closed))
	e.cfg.Monitor.SetPrimary(topology.Primary{})
	var err error
	e.run.b, e.run.new, err = e.run.to.conn(ctx)
	return err
}

// candidateLink is the candidate's link from the old primary as it is now.
func (e *executor) candidateLink(ctx context.Context, a actRun) (topology.Link, error) {
	facts, err := e.run.new.Observe(ctx, e.run.b)
	if err != nil {
		return topology.Link{}, fmt.Errorf("observe %s: %w", a.Op.To.Name, err)
	}
	if link, ok := linkTo(facts.Links, a.Op.From, e.run.from); ok {
		return link, nil
	}
	if id := e.run.from.serverID(); len(facts.Links) == 1 && (id == 0 || facts.Links[0].SourceServerID == 0) {
		return facts.Links[0], nil // under another address than ours
	}
	return topology.Link{}, fmt.Errorf("%s has no link from %s", a.Op.To.Name, a.Op.From.Name)
}

// silence takes the candidate's own wait for acknowledgements away, on which its applier would hang, and stops its
// receiver: what it has received from now on is all that it will have. Where the old primary was closed and its final
// position is known, the receiver goes on until that is reached.
func (e *executor) silence(ctx context.Context, a actRun, ev evidence) error {
	r := e.run
	if err := e.semiSync(ctx, a.Op.To.Name, false); err != nil {
		return err
	}
	link, err := e.candidateLink(ctx, a)
	if err != nil && a.Op.Force {
		ev.add("link", "%v", err)
		return nil
	}
	if err != nil {
		return err
	}
	r.channel, r.linked = link.Channel, true
	if r.target.Known() {
		return nil
	}
	if err := r.new.StopReplica(ctx, r.b, r.channel, flavor.ReceiverThread); err != nil {
		return fmt.Errorf("stop the receiver of %s: %w", a.Op.To.Name, err)
	}
	r.deaf = true
	return nil
}

// drained reports whether the link has applied all that it has received.
func drained(l topology.Link) bool {
	if l.UsesGTID && l.Received.Known() && l.Applied.Contains(l.Received) {
		return true
	}
	return l.AppliedFile.Known() && l.AppliedFile.Equal(l.ReceivedFile)
}

// quietFor is how long a link must not move, with its applier saying that it has read everything and its workers idle,
// before what is left is taken for the beginning of a transaction that was never received to its end.
const quietFor = 500 * time.Millisecond

// applyBacklog waits until the candidate has applied everything: up to the old primary's final position where that is
// known, else all it has received.
func (e *executor) applyBacklog(ctx context.Context, a actRun, ev evidence) error {
	r := e.run
	begun := time.Now()
	defer func() { ev.add("backlog", "%s", time.Since(begun).Round(time.Millisecond)) }()
	if r.target.Known() && r.linked {
		if r.deaf { // the old primary was reached after all, and what is missing can be fetched
			if err := r.new.StartReplica(ctx, r.b, r.channel, flavor.ReceiverThread); err != nil {
				return fmt.Errorf("start the receiver of %s again: %w", a.Op.To.Name, err)
			}
		}
		err := e.wait(ctx)
		if err != nil && a.Op.Force {
			r.short = true
			ev.add("not reached", "%v", err)
			return nil
		}
		return err
	}
	r.short = r.target.Known()
	if !r.linked {
		return nil
	}
	return e.untilDrained(ctx, a.Op.To.Name, r.new, r.b, r.channel, a.Op.Force)
}

// onChannel finds the link called channel.
func onChannel(links []topology.Link, channel string) (topology.Link, bool) {
	for _, l := range links {
		if l.Channel == channel {
			return l, true
		}
	}
	return topology.Link{}, false
}

// untilDrained polls until the link called channel is drained. With force an applier that has stopped is the end, too.
func (e *executor) untilDrained(ctx context.Context, name string, d flavor.Dialect, q flavor.Querier, channel string, force bool) error {
	var mark string
	since := time.Now()
	for {
		facts, err := d.Observe(ctx, q)
		if err != nil {
			return fmt.Errorf("observe %s: %w", name, err)
		}
		l, ok := onChannel(facts.Links, channel)
		switch {
		case !ok && !force:
			return fmt.Errorf("the link of %s is not there any more, and with it what it had received", name)
		case !ok || drained(l):
			return nil
		case l.SQL != topology.ThreadYes && force:
			return nil
		case l.SQL != topology.ThreadYes:
			return fmt.Errorf("the applier of %s has stopped before everything that was received was applied%s", name, withError(l.SQLErrno, l.SQLError))
		}
		if now := l.Applied.String() + l.AppliedFile.String(); now != mark {
			mark, since = now, time.Now()
		}
		if flavor.ReadAll(l.ApplierState) && time.Since(since) > quietFor {
			if idle, err := flavor.AppliersIdle(ctx, q, d); err != nil || idle {
				return err
			}
			since = time.Now()
		}
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("wait until %s has applied all that it has received: %w", name, err)
		}
	}
}

// weigh finds out what may be lost.
func (e *executor) weigh(ctx context.Context, a actRun, out *done) error {
	r := e.run
	facts, err := r.new.Observe(ctx, r.b)
	if err != nil {
		return fmt.Errorf("observe %s: %w", a.Op.To.Name, err)
	}
	gone := coord.Departure{Server: a.Op.From.Name, Fence: r.proof.Kind().String()}
	l := e.lossOf(ctx, r.b, a.Op.From, a.Op.To, facts)
	gone.AtLeast, gone.WindowMS, gone.Seen = l.AtLeast, l.WindowMS, l.Seen
	switch {
	case r.target.Known() && r.short: // the operator goes on without what the old primary still has
		gone.Seen, gone.WindowMS = r.target.String(), -1
		old, _ := e.cfg.Monitor.Snapshot().Find(a.Op.From.Name)
		if n, ok := missing(facts.Position, r.target, old.Facts); ok {
			gone.AtLeast, gone.WindowMS = n, 0
		}
	case r.target.Known() || e.exactBySemiSync(a, l.Beat):
		gone.AtLeast, gone.WindowMS = 0, 0
	}
	out.Gone = gone
	ev := evidence(out.Evidence)
	ev.add("at least", "%d", gone.AtLeast)
	ev.add("window ms", "%d", gone.WindowMS)
	ev.add("last seen of "+a.Op.From.Name, "%s", gone.Seen)
	ev.add("candidate", "%s", facts.Position)
	return nil
}

// detach stops the candidate's link and keeps where both servers stand. The link keeps its coordinates and is not
// started again before the old primary is proved clean.
func (e *executor) detach(ctx context.Context, a actRun, out *done) error {
	r := e.run
	if r.linked {
		if err := r.new.StopReplica(ctx, r.b, r.channel, flavor.BothThreads); err != nil {
			return fmt.Errorf("stop the replication of %s: %w", a.Op.To.Name, err)
		}
	}
	facts, err := r.new.Observe(ctx, r.b)
	if err != nil {
		return fmt.Errorf("observe %s: %w", a.Op.To.Name, err)
	}
	if r.binlogB, err = r.new.BinlogPosition(ctx, r.b); err != nil {
		return fmt.Errorf("read the position of the binary log of %s: %w", a.Op.To.Name, err)
	}
	out.Gone.Promoted, out.Gone.Binlog = facts.Position.String(), r.binlogB.String()
	if l, ok := onChannel(facts.Links, r.channel); ok && r.linked {
		out.Gone.Received, out.Gone.Link = l.AppliedFile.String(), l.Source
	}
	ev := evidence(out.Evidence)
	ev.add("promoted", "%s", out.Gone.Promoted)
	ev.add("received", "%s", out.Gone.Received)
	ev.add("binlog", "%s", out.Gone.Binlog)
	return nil
}

// reconnect lets the candidate follow again, on a connection of its own, because the one of the failover may have broken.
// On MariaDB that is safe only because its receiver alone was stopped, or its backlog was applied before both threads
// were.
func (e *executor) reconnect(ctx context.Context, a actRun, ev evidence) (err error) {
	if e.run != nil && !e.run.linked {
		return nil
	}
	to, ok := e.servers[a.Op.To.Name]
	if !ok {
		return fmt.Errorf("%s is not configured any more", a.Op.To.Name)
	}
	conn, d, err := to.conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	facts, err := d.Observe(ctx, conn)
	if err != nil {
		return fmt.Errorf("observe %s: %w", a.Op.To.Name, err)
	}
	l, ok := e.linkOfFailover(facts.Links, a)
	if !ok || l.Running() {
		return nil
	}
	which := flavor.ApplierThread
	switch {
	case l.SQL == topology.ThreadYes:
		which = flavor.ReceiverThread
	case drained(l):
		which = flavor.BothThreads
	}
	if err := d.StartReplica(ctx, conn, l.Channel, which); err != nil {
		return fmt.Errorf("start the replication of %s again: %w", a.Op.To.Name, err)
	}
	ev.add(a.Op.To.Name, "follows again")
	return nil
}

// linkOfFailover is the candidate's link from the old primary: the one that this process has worked on, or, when it was an
// earlier process, the one that fits.
func (e *executor) linkOfFailover(links []topology.Link, a actRun) (topology.Link, bool) {
	if e.run != nil {
		return onChannel(links, e.run.channel)
	}
	if from, ok := e.servers[a.Op.From.Name]; ok {
		if l, found := linkTo(links, a.Op.From, from); found {
			return l, true
		}
	}
	if len(links) == 1 {
		return links[0], true
	}
	return topology.Link{}, false
}

// FailoverError is the cause that clients get whose transaction or statement was on the old primary when it was cut off.
type FailoverError struct{ From string }

// Error is the text for the client.
func (e *FailoverError) Error() string {
	return fmt.Sprintf("the primary %s has failed and another server is taking over", e.From)
}
