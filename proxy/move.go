package proxy

import (
	"errors"
	"time"

	"github.com/onewriter/onewriter/router"
)

// move is place, counted by its outcome.
func (s *clientSession) move(d router.Decision) error {
	before, began := s.flow.server, s.cluster.tallies.now()
	pinned := s.core.Pins() != 0
	s.enterPhase(phaseRebuild)
	defer s.enterPhase(phaseRelay)
	err := s.place(d)
	s.flow.now = s.cluster.tallies.now()
	m := s.cluster.metrics
	switch {
	case err == nil:
		m.moveTime.Observe(time.Duration(s.flow.now - began).Seconds())
		if before == d.Target.Name {
			m.moves[reconnected].Inc()
		} else {
			m.moves[moved].Inc()
		}
	case pinned:
		m.moves[movePinned].Inc()
	case errors.As(err, new(*unreachableError)):
		m.moves[unreachable].Inc()
	default:
		m.moves[moveRefused].Inc()
	}
	return err
}
