package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/router"
)

// berth is a session's right to a connection at one server, and what it has taken of that server's quotas. It belongs
// to the session's goroutine; leave gives everything back.
type berth struct {
	quotas  *serverQuotas
	greeted *backend.Greeted // dialled, and no login yet
	seated  bool             // holds a place of quotas.connections
	pending bool             // holds a place of quotas.pending
	working bool             // holds a place of quotas.logins
}

// leave gives back what is held. A connection that nobody has logged in on goes to the next client.
func (b *berth) leave() {
	if b.greeted != nil {
		b.greeted.Release()
		b.greeted = nil
	}
	b.settle()
	if b.seated {
		b.seated = false
		b.quotas.connections.free()
	}
}

// settle ends the login; the place for the connection is kept.
func (b *berth) settle() {
	b.greeted = nil
	if b.pending {
		b.pending = false
		b.quotas.pending.free()
	}
	if b.working {
		b.working = false
		b.quotas.logins.free()
	}
}

// early takes what a connection needs that is dialled before its client has logged in, if it can be had at once.
func (b *berth) early() bool {
	if !b.quotas.connections.try() {
		return false
	}
	b.seated = true
	b.pending = b.quotas.pending.try()
	if !b.pending {
		b.leave()
	}
	return b.pending
}

// wait takes the places for a login, and waits for them in the order in which the sessions came. room is how many may
// wait before it.
func (b *berth) wait(ctx context.Context, room int) error {
	if !b.seated {
		if err := b.quotas.connections.take(ctx, room); err != nil {
			return err
		}
		b.seated = true
	}
	if !b.working {
		if err := b.quotas.logins.take(ctx, room); err != nil {
			return err
		}
		b.working = true
	}
	return nil
}

// waitRelayed is wait for a login in which the client talks with the server itself. It takes its time, so it must not
// keep others from logging in, and counts as one that has still to log in.
func (b *berth) waitRelayed(ctx context.Context, room int) error {
	if b.working {
		b.working = false
		b.quotas.logins.free()
	}
	if !b.pending {
		if err := b.quotas.pending.take(ctx, room); err != nil {
			return err
		}
		b.pending = true
	}
	return nil
}

// errQueueTimeout is the end of the patience of clients that log in.
var errQueueTimeout = errors.New("waited for limits.queue_timeout")

// queue is the wait of a client that logs in: bounded by the limits of the cluster.
func (c *Cluster) queue(ctx context.Context, b *berth, wait func(b *berth, ctx context.Context, room int) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.config.Limits.QueueTimeout, errQueueTimeout)
	defer cancel()
	err := wait(b, ctx, c.config.Limits.Queue)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errQueueFull):
		c.metrics.refuse(refusedQueue)
		err = fmt.Errorf("%d clients wait already (limits.queue_length)", c.config.Limits.Queue)
	case errors.Is(err, errQueueTimeout):
		c.metrics.refuse(refusedQueueTimeout)
	}
	return errNoPlace(b.quotas.name, err)
}

// board makes a berth at d's server. The server is dialled now, so that the client can be greeted with its connection
// id, unless that would be more connections than may wait for their clients: then the greeting is our own.
func (s *clientSession) board(ctx context.Context, d router.Decision) error {
	b := &s.berth
	b.leave()
	b.quotas = s.cluster.quotas[d.Target.Name]
	_, known := s.cluster.lastGreeting(d.Target.Name)
	if !b.early() {
		if known {
			return nil
		}
		if err := s.cluster.queue(ctx, b, (*berth).wait); err != nil { // nothing is known to greet with
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cluster.config.ConnectTimeout)
	defer cancel()
	g, err := s.cluster.greet(ctx, d.Target)
	if err != nil {
		b.leave()
		return err
	}
	b.greeted = g
	return nil
}

// logIn logs in at the server of the berth; a connection is dialled now if it was not before.
func (s *clientSession) logIn(ctx context.Context, p backend.LoginParams) (*backend.Conn, []byte, error) {
	b := &s.berth
	if b.greeted == nil {
		if err := s.embark(ctx); err != nil {
			return nil, nil, err
		}
	}
	wait := (*berth).wait
	if p.Secret.Kind() == auth.KindNone {
		wait = (*berth).waitRelayed
	}
	if err := s.cluster.queue(ctx, b, wait); err != nil {
		return nil, nil, err
	}
	if hungUp(s.clientTC) {
		return nil, nil, errLeft
	}
	conn, ok, err := b.greeted.Login(ctx, p)
	switch {
	case err == nil:
	case errors.As(err, new(*wire.ServerError)), errors.As(err, new(*auth.UnsupportedPluginError)):
		return nil, nil, err
	default:
		return nil, nil, errNoLogin(b.quotas.name, err)
	}
	// A client that was greeted before anything was known of this server may use what the server does not know.
	if missing := p.Capabilities & shaping &^ conn.Capabilities; missing != 0 {
		_ = conn.Close()
		return nil, nil, errUnreachable(b.quotas.name, fmt.Errorf("it lacks protocol features that were offered (%#x); connect again", uint64(missing)))
	}
	return conn, ok, nil
}

// errLeft says that a client hung up before it was logged in.
var errLeft = errors.New("the client left before it was logged in")

// embark dials a server for a client that was greeted without one. The table may have changed since.
func (s *clientSession) embark(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	for {
		d, err := s.target(ctx, deadline)
		if err != nil {
			return err
		}
		b := &s.berth
		b.leave()
		b.quotas = s.cluster.quotas[d.Target.Name]
		if err := s.cluster.queue(ctx, b, (*berth).wait); err != nil {
			return err
		}
		cctx, cancel := context.WithTimeout(ctx, s.cluster.config.ConnectTimeout)
		g, err := s.cluster.greet(cctx, d.Target)
		cancel()
		if err == nil {
			b.greeted = g
			return nil
		}
		if errors.As(err, new(*wire.ServerError)) {
			return err
		}
		if time.Now().After(deadline) {
			return errNoLogin(d.Target.Name, err)
		}
		s.waitForChange(ctx, deadline)
	}
}

// reseat takes the places for a connection to d's server, for a session that is to be rebuilt there. It waits for
// HoldTimeout: nobody who is logged in is turned away because many have to be rebuilt at once.
func (s *clientSession) reseat(d router.Decision) error {
	b := &s.berth
	b.quotas = s.cluster.quotas[d.Target.Name]
	ctx, cancel := context.WithTimeout(s.waitCtx(), s.cluster.config.HoldTimeout)
	defer cancel()
	err := b.wait(ctx, noQueueLimit)
	if err == nil {
		return nil
	}
	b.leave()
	if cause := s.interrupted(); cause != nil {
		return cause
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("waited for hold_timeout")
	}
	return errNoPlace(d.Target.Name, err)
}

// lastGreeting is what the server called name greeted with last.
func (c *Cluster) lastGreeting(name string) (wire.Greeting, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.greetings[name]
	return g, ok
}
