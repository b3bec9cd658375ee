package failover

import (
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/failover/rejoin"
	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

func (x *simExec) failoverStep(a actRun, out *inDone) error {
	w, r := x.w, x.run
	switch a.Step {
	case stepAssess:
		out.View = x.assess(a)
		return nil
	case stepCutoff:
		return x.cutoff(a)
	case stepFenceOld:
		err := x.fenceOld(a)
		if err == nil {
			out.Gone.Fence = r.proof.kind.String()
		}
		return err
	case stepSilence:
		return x.silence(a)
	case stepApply:
		if w.faults.noDrain {
			return nil
		}
		if r.short = r.target.Known(); r.link == nil {
			return nil
		}
		if r.target.Known() {
			r.short = false
			err := x.fetchRest()
			if err != nil && a.Op.Force {
				r.short = true
				return nil
			}
			return err
		}
		return x.untilDrained(r.b, r.link, a.Op.Force)
	case stepWeigh:
		return x.weigh(a, out)
	case stepDetach:
		return x.detach(out)
	case stepPark:
		if !a.Op.failover() {
			for _, name := range a.Op.Left {
				if err := x.parkOne(x.w.server(a.Op.To.Name), x.w.server(name)); err != nil {
					return err
				}
			}
			return nil
		}
		if r.link == nil {
			return nil
		}
		return x.sql(r.to, func() error { r.link.park(); return nil })
	case stepReconnect:
		return x.reconnect(a)
	default:
		return errors.New("unknown step")
	}
}

// parkOne stops and parks the link to a server that was left behind.
func (x *simExec) parkOne(primary, old *simServer) error {
	if err := x.keepApart(primary, old); err != nil {
		return err
	}
	l := x.w.linkOf(primary, old)
	if l == nil || l.parked {
		return nil
	}
	return x.sql(primary, func() error { l.park(); return nil })
}

func (x *simExec) assess(a actRun) view {
	w := x.w
	v := make(view, len(w.servers))
	slow := false
	for i, s := range w.servers {
		if s.inst == a.Op.From {
			v[i] = serverView{Instance: s.inst, Err: "it is the primary that has failed", Lag: -1}
			if o := x.p.seen[i].o; !o.FactsAt.IsZero() {
				v[i].Facts = o.Facts
			} else if x.known[i] {
				v[i].Facts.ServerID = s.id
			}
			continue
		}
		slow = x.inspectOne(s, &v[i]) || slow
		if v[i].ok() {
			x.assessOne(a, s, &v[i])
		}
	}
	if slow {
		_ = x.wait(x.limits.cfg.Limits.Statement)
	}
	return v
}

func (x *simExec) assessOne(a actRun, s *simServer, v *serverView) {
	v.WindowMS = -1
	from := x.w.server(a.Op.From.Name)
	_ = x.sql(s, func() error {
		v.SemiSyncReplica = s.semiReplica && x.semi.server == from && x.semi.source
		facts := s.facts()
		if l := x.w.linkOf(s, from); l != nil {
			v.Drained = drained(l.facts())
		}
		l := x.lossOf(from, s, facts)
		v.WindowMS = l.WindowMS
		if v.Drained {
			v.AtLeast = l.AtLeast
		}
		return nil
	})
}

// lossOf is executor.lossOf.
func (x *simExec) lossOf(from, to *simServer, facts topology.Facts) loss {
	old := x.p.seen[from.i].o
	out := loss{WindowMS: -1, Seen: old.Facts.Position.String()}
	if n, ok := gtid.Missing(facts.Position, old.Facts.Position); ok {
		out.AtLeast = n
	} else if old.Facts.Position.Kind() == gtid.KindFile && behindFile(facts.Links, old.Facts.Position) {
		out.AtLeast = 1
	}
	last, ok := x.w.at(to.beat[from.i]), to.beat[from.i] > 0
	if ok {
		out.Beat = last
	}
	if !ok && !old.FactsAt.IsZero() && to.row.Name == from.name() {
		last, ok = lastReceived(x.p.snapshot(), to.inst)
	}
	if at, all := hasAllOf(facts, old); all && at.After(last) {
		last, ok = at, true
	}
	if ok {
		sign := old.BadSince
		if at := x.w.data.replied[from.i]; at > 0 && x.w.at(at).After(sign) {
			sign = x.w.at(at)
		}
		if sign.IsZero() {
			sign = x.w.clock()
		}
		out.WindowMS = max(0, sign.Sub(last).Milliseconds()) + margin.Milliseconds()
	}
	return out
}

func (x *simExec) cutoff(a actRun) error {
	w := x.w
	x.run = &simRun{from: w.server(a.Op.From.Name), to: w.server(a.Op.To.Name)}
	w.data.held, w.data.published = true, topology.Primary{Epoch: a.Publish.Epoch}
	if !w.faults.noCutoff {
		w.data.cutoff(x.run.from)
	}
	x.p.setPrimary(topology.Primary{})
	var err error
	x.run.b, err = x.conn(x.run.to)
	return err
}

// fenceOld takes the strongest means that works.
func (x *simExec) fenceOld(a actRun) error {
	r := x.run
	if x.w.faults.noFence {
		r.proof = &simProof{of: r.from, life: r.from.life, kind: fence.Proved}
		return nil
	}
	for _, means := range []func(actRun) (*simProof, error){x.closeOld, x.proveDead, x.proveSilenced} {
		if proof, err := means(a); err == nil && proof != nil {
			r.proof = proof
			return nil
		}
	}
	if x.p.state.policy.RequireFence && !a.Op.Force {
		return errors.New("it could not be fenced")
	}
	r.proof = &simProof{of: r.from, life: r.from.life, kind: fence.NotFenced}
	return nil
}

func (x *simExec) closeOld(a actRun) (*simProof, error) {
	r := x.run
	err := x.bounded(hopeless, func() (err error) {
		if err = x.sql(r.from, nil); err == nil {
			r.fence, err = x.newFence(r.from)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	proof, err := x.close(r.fence)
	if err != nil {
		return nil, err
	}
	if r.a, err = x.conn(r.from); err == nil && x.readTarget(a) != nil {
		r.target = gtid.Position{}
	}
	return proof, nil
}

// proveDead takes two refused connections and a standby that is refused, too.
func (x *simExec) proveDead(a actRun) (*simProof, error) {
	r := x.run
	if a.Op.Cause == detect.Unreachable {
		return nil, nil
	}
	life := r.from.life
	for range 2 {
		if !x.w.reaches(x.w.onewriter(), r.from.i) || r.from.up {
			return nil, errors.Join(errors.New("it is not refused"), x.wait(time.Millisecond))
		}
		if err := x.wait(50 * time.Millisecond); err != nil {
			return nil, err
		}
	}
	heard := 0
	for _, s := range x.w.servers {
		l := x.w.linkOf(s, r.from)
		if l == nil || s == r.from {
			continue
		}
		err := x.sql(s, func() error {
			if f := l.facts(); f.IO == topology.ThreadYes || f.IOErrno != 2003 || l.text == "" || !refusedText(l.text) {
				return errors.New("its receiver is not refused")
			}
			heard++
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if heard == 0 {
		return nil, errors.New("no witness")
	}
	return &simProof{of: r.from, life: life, kind: fence.ByDeath}, nil
}

func refusedText(text string) bool {
	return len(text) > 20 && text[len(text)-21:] == "\"Connection refused\")"
}

// proveSilenced stops the receiver of the only server that acknowledges.
func (x *simExec) proveSilenced(a actRun) (*simProof, error) {
	r := x.run
	if x.semi.server != r.from || !x.semi.source || len(x.w.servers) != 2 {
		return nil, nil
	}
	l := x.w.linkOf(r.to, r.from)
	if l == nil {
		return nil, errors.New("no link")
	}
	if err := x.stopReplica(nil, l, flavor.ReceiverThread); err != nil {
		return nil, err
	}
	if err := x.sql(r.to, func() error {
		if l.state != topology.ThreadNo {
			return errors.New("it still runs")
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return &simProof{of: r.from, life: r.from.life, kind: fence.BySemiSync}, nil
}

func (x *simExec) silence(a actRun) error {
	r := x.run
	if err := x.semiSync(r.to, false); err != nil {
		return err
	}
	l := x.w.linkOf(r.to, r.from)
	if err := x.on(r.b, nil); err != nil {
		return err
	}
	if l == nil {
		if a.Op.Force {
			return nil
		}
		return errors.New("it has no link")
	}
	r.link = l
	if r.target.Known() {
		return nil
	}
	r.deaf = true
	return x.stopReplica(r.b, l, flavor.ReceiverThread)
}

// fetchRest waits for what a primary still had that could be closed after all.
func (x *simExec) fetchRest() error {
	if r := x.run; r.deaf {
		if err := x.startReplica(r.b, r.link, flavor.ReceiverThread); err != nil {
			return err
		}
	}
	return x.waitTarget()
}

func (x *simExec) untilDrained(c *simConn, l *simLink, force bool) error {
	for {
		var f topology.Link
		if err := x.either(c, l.at, func() error { f = l.facts(); return nil }); err != nil {
			return err
		}
		switch {
		case drained(f):
			return nil
		case f.SQL != topology.ThreadYes && force:
			return nil
		case f.SQL != topology.ThreadYes:
			return errors.New("the applier has stopped")
		}
		if err := x.wait(10 * time.Millisecond); err != nil {
			return err
		}
	}
}

func (x *simExec) weigh(a actRun, out *inDone) error {
	r := x.run
	return x.on(r.b, func() error {
		l := x.lossOf(r.from, r.to, r.to.facts())
		out.Gone = coord.Departure{Server: r.from.name(), Fence: r.proof.kind.String(), Seen: l.Seen, AtLeast: l.AtLeast, WindowMS: l.WindowMS}
		if r.target.Known() && r.short {
			out.Gone.Seen, out.Gone.WindowMS = r.target.String(), -1
			if n, ok := gtid.Missing(r.to.facts().Position, r.target); ok {
				out.Gone.AtLeast, out.Gone.WindowMS = n, 0
			}
		} else if r.target.Known() || x.semi.server == r.from && x.semi.source && len(x.w.servers) == 2 && !l.Beat.IsZero() && l.Beat.After(x.semi.since) {
			out.Gone.AtLeast, out.Gone.WindowMS = 0, 0
		}
		return nil
	})
}

func (x *simExec) detach(out *inDone) error {
	r := x.run
	if r.link != nil {
		if err := x.stopReplica(r.b, r.link, flavor.BothThreads); err != nil {
			return err
		}
	}
	return x.on(r.b, func() error {
		r.binlogB = r.to.end()
		out.Gone.Promoted, out.Gone.Binlog = r.to.pos().String(), r.binlogB.String()
		if r.link != nil {
			out.Gone.Received = r.link.facts().AppliedFile.String()
		}
		return nil
	})
}

func (x *simExec) reconnect(a actRun) error {
	r := x.run
	if r != nil && r.link == nil || x.w.faults.noReconnect {
		return nil
	}
	to := x.w.server(a.Op.To.Name)
	l := x.w.linkOf(to, x.w.server(a.Op.From.Name))
	if r != nil {
		l = r.link
	}
	var f topology.Link
	if err := x.sql(to, func() error {
		if l != nil {
			f = l.facts()
		}
		return nil
	}); err != nil {
		return err
	}
	switch {
	case l == nil || f.Running():
		return nil
	case f.SQL == topology.ThreadYes:
		return x.startReplica(nil, l, flavor.ReceiverThread)
	case drained(f):
		return x.startReplica(nil, l, flavor.BothThreads)
	default:
		return x.startReplica(nil, l, flavor.ApplierThread)
	}
}

func (x *simExec) returnStep(a actRun, out *inDone) error {
	old, primary := x.w.server(a.Op.Server), x.w.server(a.Op.To.Name)
	switch a.Step {
	case stepQuarantine:
		return x.quarantine(a, old)
	case stepJudge:
		return x.judge(a, old, primary, out)
	case stepReattach:
		return x.reattach(a, old, primary)
	case stepRelink:
		return x.relink(a, old, primary)
	case stepRewind:
		return x.rewind(a, old, primary, out)
	case stepRebuild:
		return x.rebuild(a, old, primary, out)
	default:
		return fmt.Errorf("%s is not simulated", a.Step)
	}
}

func (x *simExec) quarantine(a actRun, old *simServer) error {
	if x.w.faults.noQuarantine {
		return nil
	}
	if err := x.closeHelped(old); err != nil || a.Op.Gone.Why == "split" {
		return err
	}
	if err := x.semiSync(old, false); err != nil {
		return err
	}
	return x.stopLinks(old)
}

func (x *simExec) stopLinks(s *simServer) error {
	for _, l := range s.links {
		if err := x.stopReplica(nil, l, flavor.BothThreads); err != nil {
			return err
		}
	}
	return nil
}

// judge compares the histories, the old server's first.
func (x *simExec) judge(a actRun, old, primary *simServer, out *inDone) error {
	var was, is topology.Facts
	if err := x.sql(old, func() error { was = old.facts(); return nil }); err != nil {
		return err
	}
	if err := x.sql(primary, func() error { is = primary.facts(); return nil }); err != nil {
		return err
	}
	j := rejoin.Judgement{Verdict: rejoin.Clean}
	if x.w.gtids() && !is.Position.Contains(was.Position) {
		j.Verdict = rejoin.Diverged
	}
	if a.Op.Gone.FilePos && j.Verdict == rejoin.Clean {
		j.Verdict = x.judgeLog(a, old, primary)
	}
	if x.w.faults.alwaysClean {
		j.Verdict = rejoin.Clean
	}
	own := j.Verdict == rejoin.Diverged
	for _, txn := range old.log {
		own = own && (primary.has(txn) || x.w.txns[txn].kind != txnClient)
	}
	out.Judged = judged{Verdict: j.Verdict.String(), OwnOnly: own}
	return nil
}

// judgeLog reads the old server's binary log behind the place that the primary has received.
func (x *simExec) judgeLog(a actRun, old, primary *simServer) rejoin.Verdict {
	from, err := gtid.ParseFile(a.Op.Gone.Received)
	switch {
	case err != nil:
		return rejoin.Unknown
	case !old.end().Contains(from):
		return rejoin.RebuiltWithSameID
	}
	_, offset, _ := from.File()
	for _, txn := range old.log[min(len(old.log), int(offset-4)/100):] {
		if x.w.txns[txn].origin != primary.i {
			return rejoin.Diverged
		}
	}
	return rejoin.Clean
}

func (x *simExec) reattach(a actRun, old, primary *simServer) error {
	var clean, open bool
	if err := x.sql(old, func() error { clean, open = true, old.writable(); return nil }); err != nil {
		return err
	}
	if err := x.sql(primary, func() error {
		clean = !x.w.gtids() || primary.pos().Contains(old.pos())
		return nil
	}); err != nil {
		return err
	}
	if open && !x.w.faults.noQuarantine || !clean && !x.w.faults.alwaysClean {
		return rejoin.ErrNotClean
	}
	if err := x.stopLinks(old); err != nil {
		return err
	}
	l := x.w.linkOf(old, primary)
	if l == nil && len(old.links) > 1 {
		return errors.New("it has several links")
	}
	if l != nil && !l.parked {
		if a.Op.Gone.SemiSync {
			if err := x.sql(old, func() error { old.semiReplica = true; return nil }); err != nil {
				return err
			}
		}
		return x.startBoth(l)
	}
	at, _ := gtid.Parse(a.Op.Gone.Binlog)
	return x.follow(old, primary, a.Op.Gone.FilePos, at, a.Op.Gone.SemiSync)
}

// relink is rejoin.Relink.
func (x *simExec) relink(a actRun, old, primary *simServer) error {
	forward := x.w.linkOf(old, primary)
	if forward == nil || !forward.facts().Running() {
		return errors.New("it does not follow")
	}
	if old.writable() {
		return rejoin.ErrNotClosed
	}
	if x.w.gtids() && !x.w.faults.alwaysClean && !primary.pos().Contains(old.pos()) {
		return rejoin.ErrNotClean
	}
	n := len(primary.log)
	for {
		ok := false
		if err := x.sql(old, func() error {
			if !forward.facts().Running() {
				return errors.New("it stopped")
			}
			ok = forward.applied >= n
			return nil
		}); err != nil {
			return err
		}
		if ok {
			break
		}
		if err := x.wait(20 * time.Millisecond); err != nil {
			return err
		}
	}
	back := x.w.linkOf(primary, old)
	if back != nil && back.parked {
		if err := x.sql(primary, func() error { back.unpark(); return nil }); err != nil {
			return err
		}
	}
	switch {
	case back == nil: // and none is made
	case a.Op.Gone.Circular:
		if err := x.linkBack(back, forward); err != nil {
			return err
		}
	default:
		if err := x.stopReplica(nil, back, flavor.BothThreads); err != nil {
			return err
		}
		if err := x.sql(primary, func() error { primary.dropLink(back); return nil }); err != nil {
			return err
		}
	}
	if !a.Op.Gone.SemiSync {
		return nil
	}
	return x.semiSync(primary, true)
}

func (x *simExec) linkBack(back, forward *simLink) error {
	if !back.facts().Running() {
		if err := x.stopReplica(nil, back, flavor.BothThreads); err != nil {
			return err
		}
		if !drained(back.facts()) {
			if err := x.startReplica(nil, back, flavor.ApplierThread); err != nil {
				return err
			}
			if err := x.untilDrained(nil, back, false); err != nil {
				return err
			}
		}
		if err := x.sql(back.at, func() error {
			if x.w.shape.filePos {
				back.next, back.applied, back.logGen = len(back.from.log), len(back.from.log), back.from.logGen
				back.relayFile, back.applFile, back.relay = back.from.file, back.from.file, nil
			}
			return nil
		}); err != nil {
			return err
		}
		if err := x.startBoth(back); err != nil {
			return err
		}
	}
	if err := x.wait(2 * time.Second); err != nil {
		return err
	}
	if !back.facts().Running() || !forward.facts().Running() {
		return errors.Join(errors.New("a link stopped"), x.undoing(10*time.Second, func() error { return x.stopReplica(nil, back, flavor.BothThreads) }))
	}
	return nil
}

func (x *simExec) rewind(a actRun, old, primary *simServer, out *inDone) error {
	err := x.sql(old, func() error {
		if !old.closed() {
			return rejoin.ErrNotClosed
		}
		if old.busy() {
			return rewind.ErrNotQuiet
		}
		old.truncate(primary.has)
		return nil
	})
	if err != nil {
		return err
	}
	out.Gone = a.Op.Gone
	out.Gone.Received = old.end().String()
	return nil
}

// rebuild replaces the data by the primary's.
func (x *simExec) rebuild(a actRun, old, primary *simServer, out *inDone) error {
	err := x.sql(old, func() error {
		if !old.closed() {
			return rejoin.ErrNotClosed
		}
		old.copyOf(primary)
		return nil
	})
	out.Gone = a.Op.Gone
	out.Gone.Received = old.end().String()
	return err
}
