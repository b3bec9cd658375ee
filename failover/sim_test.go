package failover

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simSeed   = flag.Uint64("sim.seed", 0, "simulate only this seed, and print what happened")
	simEvents = flag.Int("sim.events", 1_000_000, "how many events to simulate (a tenth with -short)")
	simFirst  = flag.Uint64("sim.first", 1, "the first seed")
)

const (
	simChaos  = 60 * time.Second  // how long faults happen
	simPeace  = 150 * time.Second // how long the cluster then has to get well, with an operator's help
	simHelp   = 60 * time.Second  // after which the operator helps
	simExam   = 30 * time.Second  // how long a takeover may take then
	simWrites = 20 * time.Second  // how long before the end clients must be writing again
)

// simulate plays one seed from the beginning to the end, or to the first broken invariant.
func simulate(seed uint64, shape func(*rand.Rand) simShape, faults simFaults, trace *simTrace) *world {
	w := newWorld(seed, shape)
	w.faults, w.trace = faults, trace
	w.trace.add(w, "seed %d: %+v", seed, w.shape)
	w.after(2*time.Second, w.chaos)
	w.after(simChaos, w.end)
	for at := simChaos + simHelp; at < simChaos+simPeace-simWrites; at += 10 * time.Second {
		w.after(at, w.operate)
	}
	written := 0
	w.after(simChaos+simPeace-simWrites, func() { written = w.data.written })
	w.after(simChaos+simPeace, func() {
		if w.shape.turns {
			w.queue = nil
			return
		}
		w.check.well(written)
		w.exam()
	})
	for w.step() {
	}
	w.kill() // its step may be waiting
	return w
}

// exam ends the primary of a cluster that is well, for good, and looks whether somebody takes over.
func (w *world) exam() {
	old := w.data.published.Instance
	if !w.shape.automatic || w.check.broken != "" {
		w.queue = nil
		return
	}
	w.check.counts.exams++
	w.crash(w.server(old.Name), time.Hour)
	written := 0
	w.after(simExam-simWrites/2, func() { written = w.data.written })
	w.after(simExam, func() {
		if p := w.process; w.data.published.Instance == old || w.data.written == written {
			w.check.fail("nobody takes over from %s: %s, %v", old.Name, describeState(p.state), p.state.objections())
		}
		w.queue = nil
	})
}

// operate is what an operator does after the faults, when something is left that is not the machine's to decide.
func (w *world) operate() {
	p := w.process
	if p == nil || p.state.plan != nil {
		return
	}
	if p.state.mode == StateNoPrimary || p.state.mode == StateSplit {
		w.check.counts.unhealthy++
		if k := w.server(p.state.subject().Name); k != nil && k.up {
			w.trace.add(w, "! operator forces a failover")
			w.order_(inFailover{Req: FailoverRequest{Force: true}})
		}
		return
	}
	for _, d := range p.state.known.Away {
		switch d.Verdict {
		case verdictDiverged:
			w.order_(inRejoin{Req: RejoinRequest{Server: d.Server, Method: RejoinRewind}})
			return
		case "unknown", "rebuilt_with_same_id":
			w.order_(inRejoin{Req: RejoinRequest{Server: d.Server, Method: RejoinRebuild}})
			return
		}
	}
}

// well: after the faults somebody serves, and clients write.
func (c *simChecks) well(written int) {
	w := c.world
	p := w.process
	switch {
	case p == nil:
		c.fail("Onewriter does not run")
	case p.state.mode != StateRunning:
		c.fail("after the faults: %s", describeState(p.state))
	case w.data.held:
		c.fail("clients are held: %s", describeState(p.state))
	case w.data.written == written:
		c.fail("nobody writes although the state is %s, published %v", describeState(p.state), w.data.published)
	}
	if p != nil && c.waits && !w.server(p.state.subject().Name).semiSource {
		c.fail("commits do not wait for an acknowledgement any more")
	}
	for _, d := range p.state.known.Away {
		c.fail("%s is still away (%s %s %v): %v", d.Server, d.Why, d.Verdict, d.Reasons, p.state.awayTrouble)
	}
	for _, s := range w.servers {
		if s.inst == w.data.published.Instance {
			continue
		}
		if l := w.linkOf(s, w.server(w.data.published.Instance.Name)); l == nil || !l.facts().Running() {
			c.fail("%s does not follow the primary %s: %+v", s.name(), w.data.published.Instance.Name, s.facts().Links)
		}
	}
}

// TestSimulation plays seeds until enough events were simulated. A seed that fails is played again with its trace.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		trace := &simTrace{}
		w := simulate(*simSeed, drawShape, simFaults{}, trace)
		t.Logf("%+v\n%s\n%+v", w.shape, trace, w.check.counts)
		if w.check.broken != "" {
			t.Errorf("seed %d, event %d: %s", *simSeed, w.events, w.check.broken)
		}
		return
	}
	limit := int64(*simEvents)
	if testing.Short() {
		limit /= 10
	}
	var next, events, seeds atomic.Uint64
	next.Store(*simFirst - 1)
	var mu sync.Mutex
	var total simCounts
	failed := 0
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for int64(events.Load()) < limit {
				seed := next.Add(1)
				w := simulate(seed, drawShape, simFaults{}, nil)
				events.Add(uint64(w.events))
				seeds.Add(1)
				mu.Lock()
				total.add(w.check.counts)
				if w.check.broken != "" {
					failed++
					t.Errorf("seed %d, event %d: %s (-sim.seed=%d shows how)", seed, w.events, w.check.broken, seed)
				}
				stop := failed > 10
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d seeds, %d events: %s", seeds.Load(), events.Load(), total)
}

func (c *simCounts) add(o simCounts) {
	c.acks += o.acks
	c.lost += o.lost
	c.switchovers += o.switchovers
	c.failovers += o.failovers
	c.reopened += o.reopened
	c.undone += o.undone
	c.kills += o.kills
	c.crashes += o.crashes
	c.away += o.away
	c.back += o.back
	c.unhealthy += o.unhealthy
	c.exams += o.exams
	for i := range c.fences {
		c.fences[i] += o.fences[i]
	}
}

func (c simCounts) String() string {
	return fmt.Sprintf("%+v", struct{ simCountsPlain }{simCountsPlain(c)})
}

type simCountsPlain simCounts
