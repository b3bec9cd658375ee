package failover

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// carryOut dispatches as executor.carryOut does.
func (x *simExec) carryOut(a actRun, out *inDone) error {
	switch a.Step {
	case stepLoad:
		out.Stored, out.Found = x.w.stored, x.w.found
		return nil
	case stepInspect:
		x.semi = simSemi{}
		out.View = x.inspect("")
		return nil
	case stepPrecheck:
		out.View = x.inspect(a.Op.From.Name)
		return nil
	case stepMark, stepUnmark, stepSave, stepNote, stepKeep:
		return x.save(a)
	case stepPeek:
		s := x.w.server(a.Op.To.Name)
		err := x.sql(s, func() error {
			since := x.semi.since
			if x.semi.server != s || !x.semi.source {
				since = x.w.clock()
			}
			x.semi = simSemi{s, s.semiSource, since}
			return nil
		})
		out.SemiSync = x.semi.server == s && x.semi.source
		return err
	case stepPublish:
		return x.publish(a)
	case stepClose:
		return x.closeOthers(a.Op.Others)
	case stepReopen:
		return x.reopen(a)
	case stepSchema:
		return x.sql(x.w.server(a.Op.To.Name), nil)
	case stepEpoch:
		return x.epochRow(a)
	case stepAssess, stepCutoff, stepFenceOld, stepSilence, stepApply, stepWeigh, stepDetach, stepPark, stepReconnect:
		return x.failoverStep(a, out)
	case stepMend:
		return x.mend(a)
	case stepQuarantine, stepJudge, stepRewind, stepRebuild, stepDiscard, stepReattach, stepRelink:
		return x.returnStep(a, out)
	default:
		return x.switchStep(a, out)
	}
}

func (x *simExec) switchStep(a actRun, out *inDone) error {
	w := x.w
	switch a.Step {
	case stepThrottle:
		return x.prepare(a)
	case stepPause:
		x.p.setPrimary(topology.Primary{})
		w.data.held = true
		return nil
	case stepDrain:
		return x.drain()
	case stepFence:
		return x.fenceStep()
	case stepTarget:
		return x.readTarget(a)
	case stepWait:
		return x.waitTarget()
	case stepVerify:
		return x.verify(a)
	case stepPromote:
		err := x.promote(a)
		out.Gone = x.places(a)
		return err
	case stepSettle:
		err := x.settle()
		out.Gone = x.places(a)
		return err
	case stepRepoint:
		return x.repoint(a, out)
	case stepSemiSync:
		return x.semiSync(w.server(a.Op.To.Name), true)
	case stepDemote:
		return x.semiSync(w.server(a.Op.From.Name), false)
	case stepResume:
		x.p.setPrimary(a.Publish)
		w.data.held = false
		return nil
	case stepFollow:
		return nil
	default:
		return fmt.Errorf("unknown step %q", a.Step)
	}
}

// inspect looks at all servers at once, the primary of a precheck last.
func (x *simExec) inspect(primary string) view {
	v := make(view, len(x.w.servers))
	slow := false
	for turn := range 2 {
		for i, s := range x.w.servers {
			if (s.name() == primary) == (turn == 1) {
				slow = x.inspectOne(s, &v[i]) || slow
			}
		}
	}
	if slow {
		_ = x.wait(x.limits.cfg.Limits.Statement)
	}
	if p, ok := v.find(primary); ok && p.ok() {
		for i := range v {
			v[i].SemiSyncSource = x.w.servers[i].semiSource
			v[i].Acknowledgers = x.w.servers[i].acknowledgers()
		}
	}
	return v
}

// acknowledgers counts the receivers that would acknowledge to the server.
func (s *simServer) acknowledgers() (n int) {
	for _, o := range s.world.servers {
		for _, l := range o.links {
			if l.from == s && l.connected && l.semi {
				n++
			}
		}
	}
	return n
}

// inspectOne fills v; slow says that the server is one that lets us wait.
func (x *simExec) inspectOne(s *simServer, v *serverView) (slow bool) {
	w := x.w
	*v = serverView{Instance: s.inst, Lag: -1}
	if s.up && !w.busy[s.i] && !s.answers(w.onewriter()) || !w.reaches(w.onewriter(), s.i) {
		v.Err, x.swept[s.i] = "i/o timeout", false
		return true
	}
	err := x.bounded(x.limits.cfg.Limits.Statement, func() error {
		if !x.swept[s.i] {
			if err := x.killStrays(s); err != nil {
				return err
			}
			x.swept[s.i] = true
		}
		return x.sql(s, func() error {
			v.Facts, v.Binlog, v.Row = s.facts(), s.end(), s.row
			for _, l := range v.Facts.Links {
				if l.LagKnown {
					v.Lag = max(v.Lag, l.Lag)
				}
			}
			x.known[s.i] = true
			return nil
		})
	})
	if err != nil {
		*v = serverView{Instance: s.inst, Lag: -1, Err: err.Error()}
		x.swept[s.i] = false
	}
	return false
}

// save makes the state durable. The disk may fail, before or after it has it.
func (x *simExec) save(a actRun) error {
	w := x.w
	if err := x.wait(w.between(100*time.Microsecond, 5*time.Millisecond)); err != nil {
		return err
	}
	if w.faults.noSave {
		return nil
	}
	failed := !w.calm && w.chance(0.5)
	if failed && w.chance(50) {
		return errors.New("input/output error")
	}
	if w.found && a.Save.Epoch < w.stored.Epoch {
		w.check.fail("epoch %d is stored after %d", a.Save.Epoch, w.stored.Epoch)
	}
	w.stored, w.found = a.Save, true
	w.check.saved(a.Save)
	if failed {
		return errors.New("input/output error after the write")
	}
	return nil
}

func (x *simExec) publish(a actRun) error {
	p := a.Publish
	if !p.Instance.Known() {
		p = topology.Primary{Epoch: p.Epoch}
	}
	x.w.check.published(p)
	x.w.data.published = p
	x.p.setPrimary(p)
	return nil
}

func (x *simExec) epochRow(a actRun) error {
	w, s := x.w, x.w.server(a.Op.To.Name)
	acked := false
	err := x.sql(s, func() error {
		if s.closed() {
			return errors.New("1290 read_only")
		}
		row := epochRow{Epoch: a.Op.Epoch, Name: a.Op.To.Name, ServerID: s.id}
		s.commit(simTxn{kind: txnEpoch, at: w.now, row: row}, func(bool) { acked = true })
		return nil
	})
	for err == nil && !acked {
		err = x.wait(10 * time.Millisecond)
	}
	return err
}

func (x *simExec) closeOthers(names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, x.closeHelped(x.w.server(name)))
	}
	return errors.Join(errs...)
}

// closeHelped is rejoin.Close.
func (x *simExec) closeHelped(s *simServer) error {
	f, err := x.newFence(s)
	if err != nil {
		return err
	}
	if _, err = x.close(f); err == nil || !s.semiSource {
		return err
	}
	if err := x.semiSync(s, false); err != nil {
		return err
	}
	_, err = x.close(f)
	return err
}

func (x *simExec) reopen(a actRun) error {
	if a.Kind == planUndo {
		return x.undoFence(a)
	}
	w := x.w
	to := w.server(a.Op.To.Name)
	for _, name := range a.Op.Left {
		if err := x.keepApart(to, w.server(name)); err != nil {
			return err
		}
	}
	var others []*simServer
	for _, s := range w.servers {
		switch {
		case s == to:
			continue
		case slices.Contains(a.Op.Left, s.name()):
			if !s.frozen && x.sql(s, nil) == nil { // asked for a short while only
				_ = x.closeOthers([]string{s.name()})
			}
			continue
		}
		if err := x.sql(s, nil); err != nil {
			return err
		}
		if w.shape.mysql {
			if err := x.closeOthers([]string{s.name()}); err != nil {
				return err
			}
		}
		others = append(others, s)
	}
	for _, s := range others {
		if err := x.sql(s, func() error {
			if !s.closed() {
				return errSimNotClosed
			}
			return nil
		}); err != nil {
			return err
		}
	}
	c, err := x.conn(w.server(a.Op.To.Name))
	if err != nil {
		return err
	}
	return x.open(c, c.to, &simProof{}, openReopen, a)
}

// keepApart stops the link to a server that was left behind.
func (x *simExec) keepApart(primary, old *simServer) error {
	l := x.w.linkOf(primary, old)
	if l == nil || l.parked || !l.io && !l.sql {
		return nil
	}
	return x.stopReplica(nil, l, flavor.BothThreads)
}

func (x *simExec) undoFence(a actRun) error {
	r := x.run
	if r == nil || r.fence == nil {
		return errors.New("nothing is known of a fence")
	}
	if r.semiOn {
		if err := x.semiSync(r.to, false); err != nil {
			return &stepError{outcome: outcomeUnknown, err: err}
		}
		r.semiOn = false
	}
	if err := x.reopenFence(r.fence); err != nil {
		return &stepError{outcome: outcomeUnknown, err: err}
	}
	return nil
}

func (x *simExec) semiSync(s *simServer, on bool) error {
	return x.sql(s, func() error {
		s.semiSource = on
		if !on {
			s.acknowledged(nil) // commits that wait are let go
		}
		return nil
	})
}

func (x *simExec) prepare(a actRun) error {
	r := &simRun{from: x.w.server(a.Op.From.Name), to: x.w.server(a.Op.To.Name)}
	x.run = r
	f, err := x.newFence(r.from)
	if err != nil {
		return err
	}
	r.fence = f
	if r.a, err = x.conn(r.from); err != nil {
		return err
	}
	if r.b, err = x.conn(r.to); err != nil {
		return err
	}
	return x.wait(x.w.between(10*time.Millisecond, 300*time.Millisecond))
}

func (x *simExec) drain() error {
	until := x.w.now + x.limits.cfg.Limits.Drain
	for len(x.w.data.open) > 0 && x.w.now < until {
		if err := x.wait(5 * time.Millisecond); err != nil {
			return err
		}
	}
	x.w.data.cutoff(nil)
	return nil
}

func (x *simExec) fenceStep() (err error) {
	if x.w.faults.noFence {
		x.run.proof = &simProof{of: x.run.from, life: x.run.from.life}
		return nil
	}
	x.run.proof, err = x.close(x.run.fence)
	return err
}

func (x *simExec) readTarget(a actRun) error {
	r := x.run
	return x.on(r.a, func() error {
		r.target, r.targetN, r.hasN = r.from.pos(), len(r.from.log), true
		if a.Op.FilePos {
			r.target = r.from.end()
		}
		return nil
	})
}

// hasTarget reports whether the candidate has applied up to the target.
func (r *simRun) hasTarget() bool {
	if r.target.Kind() != gtid.KindFile {
		return r.to.pos().Contains(r.target)
	}
	l := r.to.world.linkOf(r.to, r.from)
	return l != nil && l.facts().AppliedFile.Contains(r.target)
}

func (x *simExec) waitTarget() error {
	r := x.run
	for !x.w.faults.noTarget {
		done := false
		if err := x.on(r.b, func() error { done = r.hasTarget(); return nil }); err != nil {
			return err
		}
		if done {
			return nil
		}
		if err := x.wait(5 * time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (x *simExec) verify(a actRun) error {
	r := x.run
	if x.w.faults.noTarget {
		return nil
	}
	if err := x.on(r.b, func() error {
		l := x.w.linkOf(r.to, r.from)
		switch {
		case !r.to.ro:
			return errors.New("it is writable already")
		case a.Op.FilePos && (l == nil || !l.facts().AppliedFile.Equal(r.target)):
			return errors.New("it has not applied exactly up to the target")
		case !a.Op.FilePos && gtid.Relate(r.to.pos(), r.target) != gtid.Equal:
			return errors.New("the histories are not equal")
		}
		return nil
	}); err != nil {
		return err
	}
	return x.on(r.a, func() error {
		now := r.from.pos()
		if a.Op.FilePos {
			now = r.from.end()
		}
		switch {
		case !r.from.closed():
			return errors.New("it was opened again by somebody else")
		case !now.Equal(r.target):
			return errors.New("it moved")
		}
		return nil
	})
}

func (x *simExec) promote(a actRun) error {
	r := x.run
	if a.Op.SemiSync && len(a.Op.Repoint) == 0 && !a.Op.failover() {
		r.semiOn = true
		if err := x.semiSync(r.to, true); err != nil {
			return err
		}
	}
	if len(a.Op.Repoint) > 0 {
		if err := x.on(r.b, func() error { r.binlogB = r.to.end(); return nil }); err != nil {
			return err
		}
	}
	if err := x.sql(r.to, nil); err != nil {
		return err
	}
	why := openSwitch
	if a.Kind == planFailover {
		why = openFailover
	}
	return x.open(r.b, r.to, r.proof, why, a)
}

func (x *simExec) settle() error {
	opened, err := x.isOpened(x.run.to)
	switch {
	case err != nil:
		return &stepError{outcome: outcomeUnknown, err: err}
	case !opened:
		x.run.proof.spent = false
		return errors.New("it was not opened")
	default:
		return nil
	}
}

// mend is executor.mend.
func (x *simExec) mend(a actRun) error {
	s, primary := x.w.server(a.Op.Server), x.w.server(a.Op.To.Name)
	l := x.w.linkOf(s, primary)
	if l == nil {
		return errors.New("it has no link")
	}
	if x.w.faults.noReconnect {
		return nil
	}
	var f topology.Link
	if err := x.sql(s, func() error { f = l.facts(); return nil }); err != nil || f.Running() {
		return err
	}
	which := flavor.BothThreads
	switch {
	case f.SQLErrno != 0:
		return errors.New("its applier has stopped")
	case f.SQL == topology.ThreadYes:
		which = flavor.ReceiverThread
	case f.IO != topology.ThreadNo:
		which = flavor.ApplierThread
	}
	return x.startReplica(nil, l, which)
}

// places is run.places.
func (x *simExec) places(a actRun) coord.Departure {
	if !a.Op.FilePos {
		return coord.Departure{}
	}
	return coord.Departure{Received: x.run.target.String(), Binlog: x.run.binlogB.String()}
}

// repoint makes the others follow the new primary.
func (x *simExec) repoint(a actRun, out *inDone) error {
	var errs []error
	for _, name := range repointOrder(a) {
		err := x.bounded(x.limits.cfg.Limits.Repoint, func() error { return x.repointOne(a, x.w.server(name)) })
		if err == nil {
			out.Repointed = append(out.Repointed, name)
		}
		errs = append(errs, err)
	}
	if a.Op.failover() {
		return errors.Join(errs...)
	}
	to := x.w.server(a.Op.To.Name)
	if old := x.w.linkOf(to, x.w.server(a.Op.From.Name)); old != nil {
		err := x.stopReplica(nil, old, flavor.BothThreads)
		if err == nil {
			err = x.sql(to, func() error { to.dropLink(old); return nil })
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (x *simExec) repointOne(a actRun, s *simServer) error {
	w := x.w
	from, to := w.server(a.Op.From.Name), w.server(a.Op.To.Name)
	if err := x.sql(s, func() error {
		if s.writable() {
			return errors.New("it is writable")
		}
		return nil
	}); err != nil {
		return err
	}
	if a.Op.failover() && a.Op.FilePos {
		return errors.New("its place is not known")
	}
	old := w.linkOf(s, from)
	if old != nil {
		if err := x.appliedAll(a, old); err != nil {
			return err
		}
		if err := x.stopReplica(nil, old, flavor.BothThreads); err != nil {
			return err
		}
	} else if old = w.linkOf(s, to); old != nil {
		if err := x.stopReplica(nil, old, flavor.BothThreads); err != nil {
			return err
		}
	} else if len(s.links) > 0 && s != from {
		return errors.New("it replicates from another server")
	}
	return x.follow(s, to, a.Op.FilePos, x.run.binlogB, a.Op.SemiSync)
}

func (x *simExec) appliedAll(a actRun, l *simLink) error {
	if !a.Op.failover() || x.run.target.Known() {
		for {
			has := false
			if err := x.sql(l.at, func() error {
				has = l.at.pos().Contains(x.run.target) || l.facts().AppliedFile.Contains(x.run.target)
				return nil
			}); err != nil || has {
				return err
			}
			if err := x.wait(5 * time.Millisecond); err != nil {
				return err
			}
		}
	}
	if err := x.stopReplica(nil, l, flavor.ReceiverThread); err != nil {
		return err
	}
	return x.untilDrained(nil, l, false)
}

func (s *simServer) dropLink(l *simLink) {
	for i, o := range s.links {
		if o == l {
			l.gone = true
			l.stopIO()
			s.links = append(append([]*simLink(nil), s.links[:i]...), s.links[i+1:]...)
			return
		}
	}
}

// follow changes the source of a server and starts the link.
func (x *simExec) follow(s, to *simServer, filePos bool, at gtid.Position, semi bool) error {
	n := 0
	if filePos {
		_, offset, ok := at.File()
		if !ok {
			return errors.New("the binary log position is not known")
		}
		n = int(offset-4) / 100
	}
	var l *simLink
	if err := x.sql(s, func() error {
		for _, o := range s.links { // all have the one channel there is
			s.dropLink(o)
		}
		l = &simLink{at: s, from: to, next: n, applied: n, relayFile: to.file, applFile: to.file, logGen: to.logGen}
		s.links = append(append([]*simLink(nil), s.links...), l)
		if semi {
			s.semiReplica = true
		}
		l.timer()
		return nil
	}); err != nil {
		return err
	}
	return x.startBoth(l)
}

func (x *simExec) startBoth(l *simLink) error {
	if err := x.startReplica(nil, l, flavor.BothThreads); err != nil {
		return err
	}
	for {
		running := false
		if err := x.sql(l.at, func() error {
			running = l.state == topology.ThreadYes && l.sqlState() == topology.ThreadYes
			if l.sqlErrno != 0 {
				return errors.New("its applier stopped")
			}
			return nil
		}); err != nil || running {
			return err
		}
		if err := x.wait(20 * time.Millisecond); err != nil {
			return err
		}
	}
}
