package failover

import (
	"fmt"
	"strings"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/topology"
)

// simOpening says what a server is opened for.
type simOpening uint8

const (
	openUndo simOpening = iota
	openReopen
	openSwitch
	openFailover
)

// simChecks are the invariants. broken names the first that does not hold.
type simChecks struct {
	waits  bool // it is stored that commits wait for an acknowledgement
	world  *world
	broken string
	acks   []*simWrite        // acknowledged and not lost
	lost   map[*simWrite]bool // acknowledged and left behind by a failover
	// newest is the reign that was opened last, by whichever process.
	newestEpoch  topology.Epoch
	newestServer *simServer
	reigns       map[topology.Epoch]*simServer // who was published in which epoch
	published_   topology.Primary
	silenced     []int // what the candidate had received when its receiver was stopped for good
	begun        time.Duration
	step         stepName
	kind         planKind
	counts       simCounts
}

// simCounts is what has happened, so that a test can see that it has.
type simCounts struct {
	acks, lost, switchovers, failovers, reopened, undone, kills, crashes, away, back, unhealthy, exams int
	fences                                                                                             [6]int
}

func newSimChecks() *simChecks {
	return &simChecks{lost: map[*simWrite]bool{}, reigns: map[topology.Epoch]*simServer{}}
}

func (c *simChecks) fail(format string, args ...any) {
	if c.broken == "" {
		c.broken = fmt.Sprintf(format, args...)
	}
}

// begins notes the step that is being carried out.
func (c *simChecks) begins(a actRun) {
	w := c.world
	c.begun, c.step, c.kind = w.now, a.Step, a.Kind
	if a.Kind == planAbandon {
		c.forgotten()
	}
	if a.Step == stepNote && w.process.state.plan.auto {
		c.noFalseFailover(a)
	}
	if a.Step == stepJudge {
		if s := w.server(a.Op.Server); s.up && s.writable() && s.started < w.now-time.Second {
			c.fail("%s is judged while it is writable", s.name())
		}
	}
	if a.Step == stepKeep && a.Kind == planRelink {
		c.clean(a)
	}
}

// noFalseFailover: nobody is left behind who has run, and whom a standby has received from, for longer than the signs
// of a failure last.
func (c *simChecks) noFalseFailover(a actRun) {
	w := c.world
	s := w.server(a.Op.From.Name)
	if !s.up || s.frozen || a.Op.Cause == detect.Unknown {
		return
	}
	for _, o := range w.servers {
		if l := w.linkOf(o, s); l != nil && l.connected && l.steady(6*time.Second) {
			c.fail("failover from %s, which runs and from which %s receives", s.name(), o.name())
		}
	}
}

// steady reports whether the link has been through for so long.
func (l *simLink) steady(d time.Duration) bool {
	return l.at.world.now-l.at.troubled > d && l.at.world.now-l.from.troubled > d && l.at.world.now-l.heard < 1500*time.Millisecond
}

// clean: what comes back has nothing that the primary lacks.
func (c *simChecks) clean(a actRun) {
	old, primary := c.world.server(a.Op.Server), c.world.server(a.Op.To.Name)
	for _, txn := range old.log {
		if !primary.has(txn) && c.world.txns[txn].kind == txnClient {
			c.fail("%s is taken back with transaction %d, which %s lacks", old.name(), txn, primary.name())
			return
		}
	}
	c.counts.back++
}

// ack: a client was told that its write is committed.
func (c *simChecks) ack(x *simWrite) {
	c.counts.acks++
	c.acks = append(c.acks, x)
	if c.newestServer != nil && x.epoch < c.newestEpoch && x.server != c.newestServer {
		c.fail("a write on %s in epoch %d was acknowledged after %s was opened in epoch %d", x.server.name(), x.epoch, c.newestServer.name(), c.newestEpoch)
	}
	if s := c.reigns[x.epoch]; s != x.server {
		c.fail("a write of epoch %d was acknowledged by %s", x.epoch, x.server.name())
	}
}

// forgotten is the end of a process: a server that it has opened and not published may be taken back by the next one.
func (c *simChecks) forgotten() {
	if c.newestEpoch > c.published_.Epoch && c.published_.Instance.Known() {
		c.newestEpoch, c.newestServer = c.published_.Epoch, c.reigns[c.published_.Epoch]
	}
}

// opened is called immediately before a server is made writable.
func (c *simChecks) opened(s *simServer, why simOpening, a actRun, proof *simProof) {
	for _, o := range c.world.servers {
		if o == s || !o.up || !o.writable() || o.started > c.begun || o.byHand {
			continue
		}
		if _, away := c.away(o); o.inst != a.Op.From && (away || !o.startsClosed) {
			continue // it is known that it may be open, or it opens itself, and nobody is sent there
		}
		if why == openFailover && o.inst == a.Op.From && proof.kind != fence.Proved {
			continue // what the fence achieved was said; no client of ours gets there
		}
		if proof != nil && proof.of == o && proof.life != o.life {
			continue // it was restarted since, and starts writable
		}
		c.fail("%s is opened (%s) while %s is writable", s.name(), [...]string{"undo", "reopen", "switchover", "failover"}[why], o.name())
	}
	s.openedIn = s.life + 1
	switch why {
	case openUndo:
		c.counts.undone++
	case openReopen:
		c.counts.reopened++
		c.complete(s, "reopened")
	case openSwitch:
		c.counts.switchovers++
		c.newestEpoch, c.newestServer = a.Op.Epoch, s
		c.complete(s, "opened by a switchover")
	case openFailover:
		c.counts.failovers++
		c.counts.fences[proof.kind]++
		c.newestEpoch, c.newestServer = a.Op.Epoch, s
		c.takenOver(s, a)
	}
}

// away finds what is stored about a server that is away.
func (c *simChecks) away(s *simServer) (coord.Departure, bool) {
	return state{known: c.world.stored}.awayServer(s.name())
}

// complete: s has every acknowledged write that was not reported lost before.
func (c *simChecks) complete(s *simServer, how string) {
	for _, x := range c.acks {
		if !s.has(x.txn) {
			c.fail("%s is %s and lacks the write acknowledged by %s in epoch %d (transaction %d)", s.name(), how, x.server.name(), x.epoch, x.txn)
			return
		}
	}
}

// takenOver: what is lost was announced, and everything that was received is there.
func (c *simChecks) takenOver(s *simServer, a actRun) {
	w, gone := c.world, a.Op.Gone
	if !a.Op.Force && !w.shape.keepsRelay && s.started > c.begun {
		return
	}
	if !a.Op.Force {
		for _, txn := range c.silenced {
			if !s.has(txn) {
				c.fail("%s takes over without transaction %d, which it had received", s.name(), txn)
				return
			}
		}
	}
	from := w.server(a.Op.From.Name)
	last := w.process.exec.lastSign(from)
	keep := c.acks[:0]
	for _, x := range c.acks {
		if s.has(x.txn) {
			keep = append(keep, x)
			continue
		}
		c.lost[x] = true
		c.counts.lost++
		switch {
		case a.Op.Force:
		case gone.WindowMS == 0 && gone.AtLeast == 0:
			c.fail("%s takes over from %s, nothing is said to be lost, and transaction %d is (acknowledged at %s)", s.name(), from.name(), x.txn, x.at)
		case gone.WindowMS >= 0 && w.txns[x.txn].at < last-time.Duration(gone.WindowMS+1)*time.Millisecond:
			c.fail("transaction %d of %s is lost, committed %s before the last sign of life; the window is %d ms", x.txn, from.name(), last-w.txns[x.txn].at, gone.WindowMS)
		}
	}
	c.acks = keep
	c.counts.away++
}

// openAway: a server that is away and open does not stay so while it answers and nothing else is going on.
func (c *simChecks) openAway(p *simProcess) {
	for _, s := range c.world.servers {
		_, away := p.state.awayServer(s.name())
		switch {
		case !away || !s.writable() || !s.answers(c.world.onewriter()) || c.world.busy[s.i] || p.state.plan != nil || !p.state.booted || p.state.parked.why != notParked:
			s.openAway = 0
		case s.openAway == 0:
			s.openAway = c.world.now
		case c.world.now-s.openAway > 4*time.Second:
			c.fail("%s is away and stays open: %s", s.name(), describeState(p.state))
		}
	}
}

// saved: nobody is the primary and away, and that commits wait for an acknowledgement is not forgotten: nobody wants that here.
func (c *simChecks) saved(s coord.State) {
	if c.waits && !s.SemiSync {
		c.fail("it is forgotten that commits wait for an acknowledgement: %s", describeState(c.world.process.state))
	}
	c.waits = s.SemiSync
	for _, d := range s.Away {
		if d.Server == s.Primary.Name && s.Phase == coord.PhaseSettled {
			c.fail("%s is stored as the primary and as away", d.Server)
		}
	}
}

// published is called when the data path is told.
func (c *simChecks) published(p topology.Primary) {
	w := c.world
	if !p.Instance.Known() {
		return
	}
	s := w.server(p.Instance.Name)
	if !w.found || w.stored.Primary != p.Instance || w.stored.Epoch != p.Epoch {
		c.fail("%s is published in epoch %d, stored is %s in epoch %d", p.Instance.Name, p.Epoch, w.stored.Primary.Name, w.stored.Epoch)
	}
	for _, d := range w.stored.Away {
		if d.Server == p.Instance.Name {
			c.fail("%s is published while it is away", d.Server)
		}
		if o := w.server(d.Server); d.Why == "interrupted" && o.up && o.writable() && o.openedIn == o.life+1 {
			c.fail("%s is published while %s is writable, which a step has opened and of which it is stored that it is closed", p.Instance.Name, d.Server)
		}
	}
	if was := c.reigns[p.Epoch]; was != nil && was != s {
		c.fail("epoch %d belongs to %s and to %s", p.Epoch, was.name(), s.name())
	}
	if p.Epoch < c.published_.Epoch {
		c.fail("epoch %d is published after %d", p.Epoch, c.published_.Epoch)
	}
	c.reigns[p.Epoch], c.published_ = s, p
	c.complete(s, "published")
}

// applied: nothing of clients gets to a primary by replication.
func (c *simChecks) applied(s *simServer, txn int) {
	w := c.world
	t := &w.txns[txn]
	if t.kind == txnClient && w.data.published.Instance == s.inst && !w.data.held {
		c.fail("transaction %d of %s reaches the primary %s by replication", txn, w.servers[t.origin].name(), s.name())
	}
}

// receiverStopped keeps what a candidate has received when its receiver is stopped to take over.
func (c *simChecks) receiverStopped(l *simLink) {
	if c.kind == planFailover && (c.step == stepSilence || c.step == stepFenceOld) {
		c.silenced = append(c.silenced[:0], l.relay...)
	}
}

func (c *simChecks) afterEvent() {}

func (x *simExec) lastSign(s *simServer) time.Duration {
	o := x.p.seen[s.i].o
	last := time.Duration(0)
	if !o.BadSince.IsZero() {
		last = o.BadSince.Sub(x.w.at(0))
	}
	return max(last, x.w.data.replied[s.i])
}

// simTrace keeps the newest lines of what happened; nil keeps nothing.
type simTrace struct{ lines []string }

const simTraced = 20_000

func (t *simTrace) add(w *world, format string, args ...any) {
	if t == nil {
		return
	}
	if len(t.lines) >= simTraced {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, fmt.Sprintf("%10.4f %6d ", w.now.Seconds(), w.events)+fmt.Sprintf(format, args...))
}

// input notes what the machine was fed and answered, where that is something.
func (t *simTrace) input(w *world, in input, before, next state, actions []action) {
	if t == nil {
		return
	}
	was, is := describeState(before), describeState(next)
	done, isDone := in.(inDone)
	if len(actions) == 0 && was == is && (!isDone || done.Outcome == outcomeOK) {
		return
	}
	switch in := in.(type) {
	case inDone:
		t.add(w, "< %s %s %s", in.Step, in.Outcome, strings.Join(in.Reasons, " "))
	case inSights:
		t.add(w, "< sights %s %s", signature(in.Sights), in.Verdict.Kind)
	default:
		t.add(w, "< %T", in)
	}
	for _, a := range actions {
		t.add(w, "    > %s", describe(a))
	}
	if was != is {
		t.add(w, "    = %s", is)
	}
}

func (t *simTrace) String() string {
	if t == nil {
		return ""
	}
	return strings.Join(t.lines, "\n")
}
