package proxy

import (
	"errors"
	"time"

	"github.com/onewriter/onewriter/router"
	"github.com/onewriter/onewriter/session"
)

// move is place, counted by its outcome.
func (s *clientSession) move(d router.Decision) error {
	before, began := s.flow.meter, s.cluster.tallies.now()
	s.enterPhase(phaseRebuild)
	defer s.enterPhase(phaseRelay)
	err := s.place(d)
	s.flow.now = s.cluster.tallies.now()
	m := s.cluster.metrics
	switch {
	case err == nil:
		m.moveTime.Observe(time.Duration(s.flow.now - began).Seconds())
		if before != nil && before.server == d.Target.Name {
			m.moves[reconnected].Inc()
		} else {
			m.moves[moved].Inc()
		}
	case !s.core.Attached() && s.core.Pins() != 0:
		m.moves[movePinned].Inc()
	case errors.As(err, new(*unreachableError)):
		m.moves[unreachable].Inc()
	case s.interrupted() != nil: // it was not tried to its end
	case noPlace(err):
		m.moves[crowded].Inc()
	default:
		m.moves[moveRefused].Inc()
	}
	return err
}

// depart closes the server connection, after it was asked for what only it knows if the session is moving, and gives what
// pins the session now.
func (s *clientSession) depart(moving bool) session.Pin {
	pins := s.core.Pins()
	if pins == 0 && moving {
		s.fetch()
	}
	s.closeServer()
	if pins == 0 {
		pins = s.core.Pins()
	}
	return pins
}

// fetchPatience bounds the question for what only the old server knows: it may hang.
const fetchPatience = time.Second

// fetch asks the server connection, before the session leaves it on purpose, for what only that one knows. What could not
// be learned pins the session once the connection is closed.
func (s *clientSession) fetch() {
	b := s.core.Fetch()
	if b == nil || !s.serverAlive() {
		return
	}
	_ = s.server.conn.SetDeadline(time.Now().Add(fetchPatience))
	if err := s.ask(b); err != nil {
		s.cluster.log.Debug().Err(err).Uint64("session", s.id).Msg("what only the server knows was not read")
	}
}

// reprieved reports whether a session that was to be ended for a pin can go on, because the command throws away what pins
// it: pools reset a connection before they lend it out.
func (s *clientSession) reprieved(cmd session.Command) bool {
	if !s.core.StartsAnew(cmd) || s.core.Attached() || s.core.Pins() == 0 || !s.core.Discard() {
		return false
	}
	s.doom = nil
	return true
}

// discard forgets the state of a session that leaves its server with a command that would undo it.
func (s *clientSession) discard(cmd session.Command) {
	if s.core.StartsAnew(cmd) && !s.core.Busy() && (!s.placed(s.decide()) || !s.serverAlive()) {
		s.dropServer()
		s.core.Discard()
	}
}
