package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/onewriter/onewriter/internal/sqlclass"
	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/session"
	"github.com/onewriter/onewriter/topology"
)

// erNoSuchThread is the servers' code for a KILL of a connection that they do not have.
const erNoSuchThread = 1094 // HY000

func errNoThread(format string, args ...any) *clientError {
	return &clientError{erNoSuchThread, "HY000", "onewriter: " + fmt.Sprintf(format, args...), false}
}

// errKilled ends a session whose client was killed by another one. Servers hang up without a word, too.
var errKilled = errors.New("the connection was killed")

// mayPass reports whether the command goes past the gate to where the session is: a KILL of a connection and nothing else,
// which changes no data. What it ends may be what the gate waits for.
func (s *clientSession) mayPass(cmd session.Command) bool {
	if !cmd.Kills() || s.where.Load() == nil || !s.serverAlive() {
		return false
	}
	k, ok := s.core.Kill(s.client.buf.bytes())
	return ok && !k.More
}

// serveKill serves a command that ends a connection. The client names it as the clients see it: by the id of a
// handshake. It is sent, with the id that the server knows, to where that session is; the server judges the rights.
func (s *clientSession) serveKill(cmd session.Command, wasBusy bool) error {
	k, ok := s.core.Kill(s.client.buf.bytes())
	if user := s.core.KilledUser(s.client.buf.bytes()); user != "" {
		return s.killUser(cmd, wasBusy, user)
	}
	if !ok || k.ID > math.MaxUint32 {
		return s.forward(cmd, wasBusy)
	}
	target, err := s.identify(uint32(k.ID))
	if err != nil {
		return s.refuse(err)
	}
	if target == nil {
		return s.forward(cmd, wasBusy)
	}
	if k.Kind == sqlclass.KillConnection && target != s {
		target.kills.Add(1)
		defer target.kills.Add(-1)
	}
	w, here := target.where.Load(), s.where.Load()
	switch {
	case w == nil:
		err = s.killNowhere(target, k)
	case w.instance != here.instance:
		err = s.killElsewhere(w, k)
	case w.conn.ID == uint32(k.ID):
		return s.killHere(cmd, wasBusy, target, k)
	case k.Replaceable():
		s.core.Retarget(k, w.conn.ID)
		return s.killHere(cmd, wasBusy, target, k)
	default: // the id is a parameter of a prepared statement
		err = s.killElsewhere(w, k)
	}
	if err != nil {
		return s.refuse(err)
	}
	s.killed(target, k)
	if k.More {
		s.core.Omit(k)
		return s.forward(cmd, wasBusy)
	}
	return s.confirm()
}

// confirm consumes a command that has been carried out without the session's server, and answers it.
func (s *clientSession) confirm() error {
	if err := s.refuse(nil); err != nil {
		return err
	}
	return s.toClient(wire.AppendPacket(nil, s.core.Current().Seq+1, s.core.AppendOK(nil)), s.cluster.tallies.now())
}

// killWaiting carries out a kill, and nothing else, of a session that waits for a server, where the killer's session has none
// either and would have to wait as well. No server can judge it then; see killNowhere.
func (s *clientSession) killWaiting() bool {
	if s.where.Load() != nil && s.serverAlive() {
		return false
	}
	k, ok := s.core.Kill(s.client.buf.bytes())
	if !ok || k.More || k.ID > math.MaxUint32 {
		return false
	}
	target, _ := s.cluster.ids.find(s.listener, uint32(k.ID))
	if target == nil || target == s || target.waiting.Load() == nil || !s.sameUser(target) {
		return false
	}
	s.killed(target, k)
	return true
}

// killed does to the session, which is another one, what its server connection can't tell it: the client of an idle one
// would not notice that it was killed, because a session whose server connection is lost is given another. One that waits
// for a server is let go.
func (s *clientSession) killed(target *clientSession, k session.Kill) {
	if k.Kind == sqlclass.KillConnection {
		target.end(errKilled)
	} else {
		target.interrupt(errInterrupted())
	}
}

// killHere lets the session's own server do it.
func (s *clientSession) killHere(cmd session.Command, wasBusy bool, target *clientSession, k session.Kill) error {
	if target != s {
		s.agreed = func() { s.killed(target, k) }
		defer func() { s.agreed = nil }()
		return s.forward(cmd, wasBusy)
	}
	if err := s.forward(cmd, wasBusy); err != nil {
		return err
	}
	switch s.core.ErrorCode() {
	case 0, erInterrupted, erKilled:
		if k.Kind == sqlclass.KillConnection {
			return errors.Join(errMidResponse, errKilled)
		}
	}
	return nil
}

// killUser lets the session's server end the connections of a user. Their clients are hung up on if it has ended some: it has
// then ended all of them, for the right to it is one to all. Without that MariaDB 10.11 answers OK, and that there was none.
func (s *clientSession) killUser(cmd session.Command, wasBusy bool, user string) error {
	here := s.where.Load()
	var targets []*clientSession
	s.cluster.each(func(o *clientSession) {
		account, w := o.account.Load(), o.where.Load()
		if o != s && here != nil && account != nil && *account == user && w != nil && w.instance == here.instance {
			o.kills.Add(1)
			targets = append(targets, o)
		}
	})
	s.agreed = func() {
		if s.core.AffectedRows() == 0 {
			return
		}
		for _, o := range targets {
			o.end(errKilled)
		}
	}
	defer func() {
		s.agreed = nil
		for _, o := range targets {
			o.kills.Add(-1)
		}
	}()
	return s.forward(cmd, wasBusy)
}

// carryOut carries out what is to follow a kill as soon as its server has agreed, before other statements of the same text.
func (s *clientSession) carryOut() {
	if s.core.Succeeded() {
		s.agreed()
		s.agreed = nil
	}
}

// killElsewhere does it on a connection of its own, as the same user.
func (s *clientSession) killElsewhere(w *placement, k session.Kill) error {
	if !s.secret.CanMove() {
		return errNoThread("connection %d is on server %s, and the authentication plugin of this account does not let onewriter log in there to kill it", k.ID, w.instance.Name)
	}
	ctx, cancel := context.WithTimeout(s.ctx(), s.cluster.config.ConnectTimeout)
	defer cancel()
	// One login at a time among the others; a place for its connection is not asked for, because kills make places.
	logins := &s.cluster.quotas[w.instance.Name].logins
	if err := logins.take(ctx, noQueueLimit); err != nil {
		return errNoThread("connection %d is on server %s, where too many log in at the moment to kill it", k.ID, w.instance.Name)
	}
	defer logins.free()
	p := s.login
	p.Database, p.Charset = "", uint16(s.core.LoginCollation())
	p.Capabilities &^= wire.ClientQueryAttributes
	conn, _, err := s.cluster.connect(ctx, w.instance, p)
	if err != nil {
		return errNoThread("connection %d is on server %s, where this account cannot log in to kill it: %v", k.ID, w.instance.Name, err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	pc := wire.NewPacketConn(conn.Conn)
	if err = pc.WritePacket(k.AppendTo(nil, w.conn.ID)); err == nil {
		var payload []byte
		if payload, err = pc.ReadPacket(); err == nil && wire.IsErr(payload) {
			err = refusedKill(payload, k)
		}
	}
	ce := (*clientError)(nil)
	if err != nil && !errors.As(err, &ce) {
		return errNoThread("connection %d is on server %s, which did not answer the attempt to kill it: %v", k.ID, w.instance.Name, err)
	}
	pc.SetSequence(0)
	_ = pc.WritePacket([]byte{wire.ComQuit})
	return err
}

// refusedKill words the server's refusal with the id that the client has used.
func refusedKill(payload []byte, k session.Kill) error {
	e, err := wire.ParseErr(payload)
	if err != nil {
		return err
	}
	switch e.Code {
	case erNoSuchThread:
		return errNoThread("Unknown thread id: %d", k.ID)
	case erKillDenied:
		return &clientError{erKillDenied, "HY000", fmt.Sprintf("You are not owner of thread %d", k.ID), false}
	default:
		return &clientError{e.Code, e.State, e.Message, false}
	}
}

// erKillDenied is the servers' code for a KILL without the right to it.
const erKillDenied = 1095 // HY000

// killNowhere is for a session that has no server connection at the moment, since it has not needed one after a move:
// nothing of it runs. Servers let everybody end the connections of his own user name, and so it is here.
func (s *clientSession) killNowhere(target *clientSession, k session.Kill) error {
	if !s.sameUser(target) {
		return errNoThread("connection %d belongs to another user and is on no server now that could judge whether you may kill it; try again, or use `onewriter kill`", k.ID)
	}
	return nil
}

// identify gives the session that the client of s calls id; nil when none of ours is meant.
func (s *clientSession) identify(id uint32) (*clientSession, error) {
	here := s.where.Load().instance
	greeted, others := s.cluster.ids.find(s.listener, id)
	if greeted != nil && greeted.at(here, id) {
		return greeted, nil
	}
	neighbour := (*clientSession)(nil) // whom the server calls so
	for _, o := range others {
		if o.at(here, id) {
			neighbour = o
		}
	}
	switch {
	case greeted == nil && neighbour != nil:
		return neighbour, nil
	case greeted == nil && len(others) == 0:
		return nil, nil //nolint:nilnil // nobody of ours is an answer
	case neighbour != nil && s.sameUser(greeted):
		// A client cancels what it has begun by the id of the handshake. Who looks at process lists is another user.
		return greeted, nil
	case neighbour != nil:
		return nil, errAmbiguous(here.Name, id)
	}
	ctx, cancel := context.WithTimeout(s.ctx(), s.cluster.config.ConnectTimeout)
	defer cancel()
	switch alive, err := s.cluster.alive(ctx, here, id); {
	case err != nil:
		return nil, errNoThread("cannot tell whether server %s has another connection %d, so nothing was killed: %v", here.Name, id, err)
	case alive && greeted != nil:
		return nil, errAmbiguous(here.Name, id)
	case alive:
		return nil, nil //nolint:nilnil // the one that the client's own server has
	case greeted != nil:
		return greeted, nil
	case len(others) > 1:
		return nil, errNoThread("%d is ambiguous, nothing was killed: several clients of onewriter have had this connection id; use `onewriter kill`", id)
	default:
		return others[0], nil
	}
}

func errAmbiguous(server string, id uint32) *clientError {
	return errNoThread("%d is ambiguous, nothing was killed: it is the connection id of a client of onewriter, and server %s has another connection with it; use `onewriter kill`, or connect to the server", id, server)
}

// sameUser reports whether the two sessions logged in under the same user name.
func (s *clientSession) sameUser(o *clientSession) bool {
	mine, its := s.account.Load(), o.account.Load()
	return *mine != "" && *mine == *its
}

func (c *Cluster) alive(ctx context.Context, instance topology.Instance, id uint32) (bool, error) {
	if c.config.ThreadAlive == nil {
		return false, errors.New("nobody can look")
	}
	return c.config.ThreadAlive(ctx, instance.Name, id)
}

// end ends the session from outside: its client is hung up on when what it runs at its server is broken off.
func (s *clientSession) end(cause error) {
	s.ended.Store(&abortion{cause})
	s.abort(cause)
	s.interrupt(cause)
}

// End hangs up on the client of the session with this number (SessionInfo.ID), whatever it does. It is false when there
// is none. A statement that runs is not stopped by that: kill the server connection before.
func (c *Cluster) End(id uint64, cause error) bool {
	c.mu.Lock()
	s := c.sessions[id]
	c.mu.Unlock()
	if s == nil {
		return false
	}
	s.end(cause)
	return true
}
