package failover

import (
	"fmt"
	"time"
)

// chaos lets something happen every now and then until the world is calm.
func (w *world) chaos() {
	if w.calm {
		return
	}
	w.mishap()
	w.after(w.between(200*time.Millisecond, 5*time.Second), w.chaos)
}

// mishap is one fault, which ends by itself, or one order of an operator.
func (w *world) mishap() {
	s := w.servers[w.rand.IntN(len(w.servers))]
	if w.chance(50) && w.data.published.Instance.Known() {
		s = w.server(w.data.published.Instance.Name)
	}
	switch n := w.rand.IntN(100); {
	case n < 16:
		w.crash(s, w.between(400*time.Millisecond, 15*time.Second))
	case n < 28:
		w.freeze(s, w.between(100*time.Millisecond, 12*time.Second))
	case n < 42:
		w.separate(w.rand.IntN(len(w.servers)+1), s.i, w.between(100*time.Millisecond, 12*time.Second))
	case n < 48:
		w.isolate(s, w.between(100*time.Millisecond, 12*time.Second))
	case n < 52:
		w.busy[s.i] = true
		w.after(w.between(100*time.Millisecond, 5*time.Second), func() { w.busy[s.i] = false })
		w.trace.add(w, "! %s has no connection left", s.name())
	case n < 56:
		s.lagging = w.now + w.between(100*time.Millisecond, 6*time.Second)
		w.after(s.lagging-w.now, s.kickAll)
		w.trace.add(w, "! %s lags", s.name())
	case n < 60:
		w.slow[s.i] = w.between(0, 30*time.Millisecond)
	case n < 68:
		w.killProcess()
	case n < 70 && w.process != nil:
		w.trace.add(w, "! stop")
		w.process.feed(inStop{})
	case n < 90:
		w.order_(inRequest{Req: Request{}})
	case n < 94:
		w.order_(inFailover{Req: FailoverRequest{Force: w.chance(30), DryRun: w.chance(20)}})
	default:
		w.order_(inRejoin{Req: RejoinRequest{Server: s.name(), DryRun: w.chance(30)}})
	}
}

func (s *simServer) kickAll() {
	for _, l := range s.links {
		l.kick()
	}
}

// order_ is a request of an operator.
func (w *world) order_(in input) {
	if w.process == nil {
		return
	}
	w.request++
	id := fmt.Sprintf("op-%d", w.request)
	w.trace.add(w, "! order %T", in)
	switch in := in.(type) {
	case inRequest:
		in.ID = id
		w.process.feed(in)
	case inFailover:
		in.ID, in.Now = id, w.clock()
		w.process.feed(in)
	case inRejoin:
		in.ID, in.Now = id, w.clock()
		w.process.feed(in)
	}
}

func (w *world) killProcess() {
	if w.process == nil {
		return
	}
	w.trace.add(w, "! kill -9")
	w.check.counts.kills++
	w.kill()
	w.after(w.between(50*time.Millisecond, 4*time.Second), w.startProcess)
}

// turn ends the process when it has just opened a server in the place of another one. The next one reaches that and not
// what was opened.
func (w *world) turn(from, to *simServer) {
	w.killProcess()
	w.trace.add(w, "! Onewriter reaches %s again, and %s not any more", from.name(), to.name())
	w.cutOff(w.onewriter(), from.i, false)
	from.thaw()
	w.separate(w.onewriter(), to.i, w.between(2*time.Second, 12*time.Second))
}

func (w *world) crash(s *simServer, d time.Duration) {
	if !s.up {
		return
	}
	w.trace.add(w, "! %s crashes for %s", s.name(), d)
	w.check.counts.crashes++
	s.troubled = w.now
	s.crash()
	life := s.life
	w.after(d, func() {
		if !s.up && s.life == life {
			w.trace.add(w, "! %s starts", s.name())
			s.start()
			s.started, s.troubled = w.now, w.now
		}
	})
}

func (w *world) freeze(s *simServer, d time.Duration) {
	if !s.up || s.frozen {
		return
	}
	w.trace.add(w, "! %s hangs for %s", s.name(), d)
	s.frozen, s.troubled = true, w.now
	life := s.life
	w.after(d, func() {
		if s.life == life {
			w.trace.add(w, "! %s goes on", s.name())
			s.troubled = w.now
			s.thaw()
		}
	})
}

// separate drops what two places send to each other.
func (w *world) separate(a, b int, d time.Duration) {
	if a == b {
		return
	}
	w.trace.add(w, "! %d and %d are separated for %s", a, b, d)
	w.cutOff(a, b, true)
	w.after(d, func() { w.cutOff(a, b, false) })
}

func (w *world) cutOff(a, b int, cut bool) {
	w.cut[a][b], w.cut[b][a] = cut, cut
	if max(a, b) == w.onewriter() {
		return // the servers do not notice
	}
	w.servers[a].troubled, w.servers[b].troubled = w.now, w.now
}

func (w *world) isolate(s *simServer, d time.Duration) {
	for i := range len(w.servers) + 1 {
		w.separate(i, s.i, d)
	}
}

// end makes peace: everything runs and reaches everything.
func (w *world) end() {
	w.trace.add(w, "! the faults end")
	w.calm = true
	w.cut, w.busy, w.slow = [4][4]bool{}, [3]bool{}, [3]time.Duration{}
	for _, s := range w.servers {
		s.lagging = 0
		s.thaw()
		s.troubled = w.now
		if !s.up {
			w.after(time.Second, func() {
				s.start()
				s.started, s.troubled = w.now, w.now
			})
		}
		s.kickAll()
	}
}
