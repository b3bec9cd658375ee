package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/topology"
)

// MoveReport is what became of the sessions when a hold ended.
type MoveReport struct {
	Moved       int
	Closed      []topology.ClosedSession
	LongestHold time.Duration
}

// Throttle delays each new transaction towards the primary by d; 0 ends that, for those that are waiting, too.
func (c *Cluster) Throttle(d time.Duration) { c.gate.Throttle(d) }

// Hold closes the gate: from its return on no new transaction or statement starts towards the primary. What is under
// way goes on; see Drain.
func (c *Cluster) Hold(reason string) {
	c.gate.Hold(reason)
	c.warmSoon()
}

// Drain returns when no transaction and no statement that may write is open on the primary any more, or when ctx is
// done. open is how many sessions still have one.
func (c *Cluster) Drain(ctx context.Context) (open int) {
	for {
		open = 0
		c.each(func(s *clientSession) {
			if c.open(s) {
				open++
			}
		})
		if open == 0 {
			return 0
		}
		select {
		case <-c.gate.left:
		case <-ctx.Done():
			return open
		}
	}
}

// open reports whether s has something open that a drain has to wait for. Sessions on other servers than the primary do
// not count, nor does one that was ended already and whose client has not noticed yet.
func (c *Cluster) open(s *clientSession) bool {
	w := s.where.Load()
	return s.activity.Load() == writing && s.abortion.Load() == nil &&
		(w == nil || w.instance == c.table.Load().Primary.Instance)
}

// CloseOpen ends the transactions and statements that Drain still found open: their server connections are closed and
// their clients told cause, with an error that says whether the transaction can be run again.
func (c *Cluster) CloseOpen(cause error) []topology.ClosedSession {
	closed := []topology.ClosedSession{}
	c.each(func(s *clientSession) {
		if !c.open(s) {
			return
		}
		s.abort(cause)
		closed = append(closed, topology.ClosedSession{ID: s.calledID(), Reason: "transaction or statement open beyond the drain timeout"})
	})
	return closed
}

// Cutoff ends what is open or under way on the server called name, reads too. Sessions that are looking for a server
// at this moment are told as well, because they may be on their way there.
func (c *Cluster) Cutoff(name string, cause error) []topology.ClosedSession {
	closed := []topology.ClosedSession{}
	c.each(func(s *clientSession) {
		w := s.where.Load()
		if s.activity.Load() == idle || w != nil && w.instance.Name != name {
			return
		}
		s.abort(cause)
		closed = append(closed, topology.ClosedSession{ID: s.calledID(), Reason: "transaction or statement open on " + name + " when it was cut off"})
	})
	return closed
}

// Publish makes p the primary of all sessions from now on. Idle sessions that are on another server leave it soon, see
// leaveSoon. A Hold goes on.
func (c *Cluster) Publish(p topology.Primary) {
	if !c.table.Publish(p) {
		return
	}
	c.each(func(s *clientSession) {
		w := s.where.Load()
		if p.Instance.Known() && w != nil && w.primary && w.instance != p.Instance && s.activity.Load() == writing {
			s.abort(errMoved)
			return
		}
	})
	if p.Instance.Known() {
		c.leaveSoon()
	}
}

// errMoved ends transactions that are open on another server than the primary when one is published without a drain:
// somebody else has moved the role.
var errMoved = errors.New("the primary role moved to another server")

// Observe tells what is known of the standbys.
func (c *Cluster) Observe(standbys []router.Standby) { c.table.Observe(standbys) }

// Primary is the primary as published.
func (c *Cluster) Primary() topology.Primary { return c.table.Load().Primary }

// Resume opens the gate. Sessions that were on another server than the primary count as moved, or as closed where
// something pins them.
func (c *Cluster) Resume() MoveReport {
	r := MoveReport{Closed: []topology.ClosedSession{}}
	p := c.table.Load().Primary
	c.each(func(s *clientSession) {
		w := s.where.Load()
		if s.listener.policy.Route != router.RoutePrimary || w != nil && w.epoch == p.Epoch || s.account.Load() == nil {
			return // not concerned, there already, or not logged in yet
		}
		if reasons := s.pinned(); len(reasons) > 0 {
			r.Closed = append(r.Closed, topology.ClosedSession{ID: s.calledID(), Reason: "cannot be carried over: " + joined(reasons)})
			return
		}
		r.Moved++
	})
	r.LongestHold = c.gate.Resume()
	return r
}

// Pinned lists the sessions of the primary that cannot be carried over as they are now: a change of the primary would
// close them.
func (c *Cluster) Pinned() []topology.ClosedSession {
	pinned := []topology.ClosedSession{}
	c.each(func(s *clientSession) {
		if s.listener.policy.Route != router.RoutePrimary || s.account.Load() == nil {
			return
		}
		if reasons := s.pinned(); len(reasons) > 0 {
			pinned = append(pinned, topology.ClosedSession{ID: s.calledID(), Reason: "cannot be carried over: " + joined(reasons)})
		}
	})
	return pinned
}

// SessionsOn counts the sessions with a connection to the server called name.
func (c *Cluster) SessionsOn(name string) (n int) {
	c.each(func(s *clientSession) {
		if w := s.where.Load(); w != nil && w.instance.Name == name {
			n++
		}
	})
	return n
}
