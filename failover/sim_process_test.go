package failover

import (
	"iter"
	"time"

	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/topology"
)

// simProcess is Onewriter: the machine, what feeds it, and what carries out its steps. It does what Controller does.
type simProcess struct {
	world   *world
	dead    bool
	state   state
	settled time.Time
	primary topology.Primary // the monitor's
	beating bool
	beatAt  time.Duration // the newest heartbeat that was written
	seen    []simSeen
	exec    *simExec
	running *simStep
	gates   int
}

// simSeen is what the monitor remembers of one server.
type simSeen struct {
	o        topology.Observation
	received [2]uint64
	changed  time.Duration
	looked   time.Time
}

// simStep is the step in progress.
type simStep struct {
	action actRun
	resume func() (time.Duration, bool)
	stop   func()
	turn   int // counts resumptions, so that an outdated one is known
	out    inDone
}

// startProcess starts Onewriter with nothing but what was stored.
func (w *world) startProcess() {
	if w.lives++; w.lives > 1 && w.chance(15) {
		w.skew += w.between(-2*time.Hour, 2*time.Hour)
		w.trace.add(w, "! the clock is set to %s", w.clock())
	}
	policy := DefaultPolicy()
	policy.MaxUnreceivedWindow, policy.MaxPerHour, policy.RequireFence = time.Hour, 0, !w.shape.unfenced
	policy.Cooldown = 5 * time.Second
	policy.MaxDataLoss = 1 << 40
	if w.shape.automatic {
		policy.Mode = ModeAutomatic
	}
	p := &simProcess{world: w, seen: make([]simSeen, len(w.servers))}
	p.state = state{cluster: "c", limits: DefaultLimits(), policy: policy, haveReplication: true}
	p.exec = newSimExec(p)
	w.process = p
	w.data.published, w.data.held = topology.Primary{}, false
	for i, s := range w.servers {
		p.seen[i].o.Instance = s.inst
		w.after(w.between(0, 50*time.Millisecond), func() { p.probe(i) })
	}
	w.after(0, func() { p.feed(inBoot{}) })
	w.after(time.Second, p.tick)
	w.after(time.Second, p.heartbeat)
}

// kill ends it at once, in the middle of whatever it does.
func (w *world) kill() {
	p := w.process
	if p == nil {
		return
	}
	p.dead = true
	w.check.forgotten()
	w.process = nil
	w.data.published, w.data.held = topology.Primary{}, false
	w.data.cutoff(nil)
	if p.running != nil {
		p.running.stop()
		p.running = nil
	}
}

func (p *simProcess) tick() {
	if p.dead {
		return
	}
	p.world.check.openAway(p)
	p.feed(inTick{Now: p.world.clock()})
	p.world.after(p.state.limits.Recheck, p.tick)
}

// feed runs the machine on one input and does what it says, as Controller.feed does.
func (p *simProcess) feed(in input) {
	w := p.world
	if p.dead {
		return
	}
	before := p.state
	next, actions := step(p.state, in)
	p.state = next
	if before.plan != nil && next.plan == nil {
		p.settled = w.clock()
	}
	w.trace.input(w, in, before, next, actions)
	for _, a := range actions {
		switch a := a.(type) {
		case actRun:
			p.begin(a)
		case actGate:
			w.data.held = a.Hold
		case actCancel:
			p.exec.cancelled = true
			if r := p.running; r != nil {
				p.resumeAfter(r, 0)
			}
		case actStop:
			w.kill()
			w.after(w.between(100*time.Millisecond, 2*time.Second), w.startProcess)
			return
		case actReply:
		}
	}
}

// begin starts a step.
func (p *simProcess) begin(a actRun) {
	if p.running != nil {
		p.world.check.fail("step %s is begun while %s is being carried out", a.Step, p.running.action.Step)
		return
	}
	p.world.check.begins(a)
	r := &simStep{action: a}
	p.running = r
	p.exec.cancelled = false
	seq := func(yield func(time.Duration) bool) { r.out = p.exec.do(a, yield) }
	r.resume, r.stop = iter.Pull(seq)
	p.resumeAfter(r, 0)
}

// resumeAfter lets the step go on later.
func (p *simProcess) resumeAfter(r *simStep, d time.Duration) {
	r.turn++
	turn := r.turn
	p.world.after(d, func() {
		if p.dead || p.running != r || r.turn != turn {
			return
		}
		if wait, more := r.resume(); more {
			p.resumeAfter(r, wait)
			return
		}
		if p.dead {
			return
		}
		p.running = nil
		r.out.Now = p.world.clock()
		p.feed(r.out)
	})
}

// heartbeat writes a row on the primary each second. On MariaDB the control account may do so in spite of read_only.
func (p *simProcess) heartbeat() {
	w := p.world
	if p.dead {
		return
	}
	w.after(time.Second, p.heartbeat)
	if !p.primary.Instance.Known() || p.beating {
		return
	}
	s := w.server(p.primary.Instance.Name)
	sent := w.now
	write := func() {
		if s.writable() || !w.shape.mysql {
			p.beatAt = sent
			s.commit(simTxn{kind: txnBeat, at: sent}, func(bool) { p.beating = false })
			return
		}
		p.beating = false
	}
	switch {
	case s.answers(w.onewriter()):
		p.beating = true
		write()
	case s.up && s.frozen && w.reaches(w.onewriter(), s.i):
		s.late = append(s.late, write)
	}
}

const (
	simProbeEvery   = 250 * time.Millisecond
	simProbeBad     = 50 * time.Millisecond
	simProbeTimeout = time.Second
)

// probe looks at one server as the monitor does.
func (p *simProcess) probe(i int) {
	w := p.world
	if p.dead {
		return
	}
	s, begun := w.servers[i], w.now
	life := s.life
	finish := func(d time.Duration, judge func() (topology.Class, string)) {
		w.after(d, func() {
			if p.dead {
				return
			}
			class, text := judge()
			p.probed(i, begun, class, text)
		})
	}
	switch {
	case !w.reaches(w.onewriter(), i), s.up && s.frozen:
		finish(simProbeTimeout, func() (topology.Class, string) { return topology.ClassTimeout, "i/o timeout" })
	case !s.up:
		finish(time.Millisecond, func() (topology.Class, string) { return topology.ClassRefused, "connection refused" })
	default:
		finish(w.between(300*time.Microsecond, 3*time.Millisecond), func() (topology.Class, string) {
			switch {
			case s.life != life:
				return topology.ClassReset, "connection reset by peer"
			case w.busy[i]:
				return topology.ClassTooMany, "Too many connections"
			case !s.answers(w.onewriter()):
				return topology.ClassTimeout, "i/o timeout"
			default:
				return topology.ClassOK, ""
			}
		})
	}
}

// probed takes the result, feeds the machine and plans the next probe.
func (p *simProcess) probed(i int, begun time.Duration, class topology.Class, text string) {
	w := p.world
	x := &p.seen[i]
	o := &x.o
	o.At, o.Latency, o.Class, o.Err = w.at(begun), w.now-begun, class, text
	if class == topology.ClassOK {
		p.saw(x, w.servers[i])
	}
	if o.Alive() {
		o.BadSince, o.BadProbes = time.Time{}, 0
	} else {
		if o.BadProbes == 0 {
			o.BadSince = o.At
		}
		o.BadProbes++
		o.MissedAt = o.At
	}
	wait := simProbeEvery
	if primary, ok := p.observation(p.state.subject().Name); ok && primary.BadProbes > 0 {
		wait = simProbeBad
	}
	w.after(wait, func() { p.probe(i) })
	p.observe()
}

// saw takes the facts of a server that answered.
func (p *simProcess) saw(x *simSeen, s *simServer) {
	w := p.world
	o := &x.o
	was := o.Facts.Writable() && !o.FactsAt.IsZero()
	o.Facts, o.FactsAt, o.PositionAt = s.facts(), w.clock(), w.clock()
	switch {
	case !o.Facts.Writable():
		o.WritableSince = time.Time{}
	case !was:
		o.WritableSince = o.FactsAt
	}
	if p.primary.Instance == o.Instance && !o.Facts.Writable() {
		o.Class = topology.ClassReadOnly
	}
	var received [2]uint64
	for _, l := range s.links {
		received[0] += l.beats
		received[1] += uint64(l.relayFile)<<32 + uint64(l.next)
	}
	if x.changed != 0 && (received[0] > x.received[0] || received[1] > x.received[1]) {
		o.ReceivedAt, o.ReceivedAfter = w.clock(), x.looked
	}
	if received != x.received || x.changed == 0 {
		x.received, x.changed = received, w.now
	}
	x.looked = w.clock()
	o.MeasuredLag = -1
	if p.primary.Instance.Known() && p.primary.Instance != o.Instance {
		o.MeasuredLag = 0
		if from := w.server(p.primary.Instance.Name); s.beat[from.i] < p.beatAt {
			o.MeasuredLag = w.now - p.beatAt
		}
	}
}

func (p *simProcess) observation(name string) (topology.Observation, bool) {
	for i := range p.seen {
		if p.seen[i].o.Instance.Name == name {
			return p.seen[i].o, true
		}
	}
	return topology.Observation{}, false
}

func (p *simProcess) snapshot() *topology.Snapshot {
	w := p.world
	snap := &topology.Snapshot{Cluster: "c", At: w.clock(), Servers: make([]topology.Observation, len(p.seen))}
	for i := range p.seen {
		snap.Servers[i] = p.seen[i].o
		o := &snap.Servers[i]
		if len(o.Facts.Links) > 0 {
			o.ReceiveAge = w.now - p.seen[i].changed
		}
		if at := w.data.replied[i]; at > 0 {
			o.Replied = w.at(at)
		}
	}
	return snap
}

// observe feeds a snapshot that is not older than what we have changed ourselves.
func (p *simProcess) observe() {
	w := p.world
	snap := p.snapshot()
	for i := range snap.Servers {
		if snap.Servers[i].At.Before(p.settled) {
			return
		}
	}
	in := inSights{Sights: sightsOf(snap, p.state.subject().Name), Now: w.clock(), Verdict: detect.Judge(snap, p.state.subject().Name, detect.Limits{})}
	if w.faults.alwaysDown && (in.Verdict.Kind == detect.Suspect || in.Verdict.Kind == detect.MyLink) {
		in.Verdict.Kind, in.Verdict.Cause = detect.Down, detect.Down
	}
	p.feed(in)
}

// setPrimary tells the monitor who the primary is.
func (p *simProcess) setPrimary(x topology.Primary) {
	if x.Instance != p.primary.Instance {
		for i := range p.seen {
			p.seen[i].o.ReceivedAt, p.seen[i].o.ReceivedAfter = time.Time{}, time.Time{}
		}
	}
	p.primary, p.beating = x, false
}
