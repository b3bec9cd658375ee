package health

import (
	"context"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// watch is the probe loop of one server.
type watch struct {
	// immutable
	m      *Monitor
	index  int
	prober prober
	kick   chan chan struct{} // a wish to probe now; the channel in it is closed when that is done
	hurry  chan struct{}      // has room for one wish to probe soon

	// owned by run
	due       time.Time // when the next probe begins
	refreshAt time.Time
	beatAt    time.Time // when the heartbeat row was read last
	class     topology.Class
}

func (w *watch) run(ctx context.Context) {
	defer w.prober.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	w.refreshAt = time.Now().Add(refreshEvery)
	var begun time.Time
	for {
		var done chan struct{}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case done = <-w.kick:
		case <-w.hurry:
			if early := begun.Add(hurryGap); early.Before(w.due) {
				w.due = early
				timer.Reset(max(0, time.Until(early)))
			}
			continue
		}
		begun = time.Now()
		w.probe(ctx, begun)
		if done != nil {
			close(done)
		}
		w.refresh(ctx)
		w.due = begun.Add(w.pace(begun))
		timer.Reset(max(0, time.Until(w.due)))
	}
}

// hasten asks for a probe soon.
func (w *watch) hasten() {
	select {
	case w.hurry <- struct{}{}:
	default: // one wish is enough
	}
}

func (w *watch) pace(now time.Time) time.Duration {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return w.m.state.pace(w.index, now)
}

// probe makes one probe and publishes the outcome.
func (w *watch) probe(ctx context.Context, begun time.Time) {
	bounded, cancel := context.WithTimeout(ctx, w.m.cfg.Timeout)
	defer cancel()
	r := w.prober.probe(bounded, w.order(begun))
	if r.err != nil && ctx.Err() != nil {
		return // we are ending; that is not the server's fault
	}
	took := time.Since(begun)
	var o topology.Observation
	w.m.update(func(c *collector) { o = c.observe(w.index, begun, took, r) })
	w.tell(o)
	if o.BadProbes > 0 {
		w.m.bad(w.index, o.BadProbes)
	}
}

// order decides whether the heartbeat row is read this time.
func (w *watch) order(now time.Time) order {
	w.m.mu.Lock()
	id := w.m.state.beatFor(w.index)
	w.m.mu.Unlock()
	o := order{standby: id != 0}
	if o.standby && now.Sub(w.beatAt) >= beatReadGap {
		w.beatAt, o.beatOf = now, id
	}
	return o
}

// refresh opens a new connection every few seconds, which shows what clients meet who connect now.
func (w *watch) refresh(ctx context.Context) {
	if now := time.Now(); now.Before(w.refreshAt) || w.class != topology.ClassOK && w.class != topology.ClassReadOnly {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, w.m.cfg.Timeout)
	defer cancel()
	err := w.prober.refresh(bounded)
	w.refreshAt = time.Now().Add(refreshEvery)
	if err != nil && ctx.Err() != nil {
		return
	}
	w.m.update(func(c *collector) { c.connected(w.index, err) })
}

// tell logs when the class has changed.
func (w *watch) tell(o topology.Observation) {
	if o.Class == w.class {
		return
	}
	e := w.m.cfg.Logger.Info()
	if o.Class != topology.ClassOK {
		e = w.m.cfg.Logger.Warn()
	}
	e.Str("server", o.Instance.Name).Stringer("class", o.Class).
		Stringer("before", w.class).Str("error", o.Err).Msg("server health changed")
	w.class = o.Class
}
