package failover

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSimulationSeesFaults takes safety measures out of the way from the machine to the servers, one at a time: the
// simulation must notice each of them.
func TestSimulationSeesFaults(t *testing.T) {
	pair := func(r *rand.Rand) simShape {
		s := drawShape(r)
		s.servers, s.automatic, s.unfenced, s.filePos = 2, true, true, false
		return s
	}
	busy := func(r *rand.Rand) simShape {
		s := pair(r)
		s.slowApplier = true
		return s
	}
	circular := func(r *rand.Rand) simShape {
		s := pair(r)
		s.circular, s.mysql = true, true
		return s
	}
	for name, c := range map[string]struct {
		faults simFaults
		shape  func(*rand.Rand) simShape
		want   string
	}{
		"promote without a fence":              {simFaults{noFence: true}, pair, "while"},
		"publish what is not saved":            {simFaults{noSave: true}, pair, "is published in epoch"},
		"switch over before all is applied":    {simFaults{noTarget: true}, pair, "lacks the write"},
		"fail over before all is applied":      {simFaults{noDrain: true}, busy, "which it had received"},
		"leave the clients on the old primary": {simFaults{noCutoff: true}, pair, "was acknowledged after"},
		"take every doubt for a death":         {simFaults{alwaysDown: true}, pair, "which runs and from which"},
		"take every server back":               {simFaults{alwaysClean: true}, circular, "by replication"},
		"leave the candidate as it is":         {simFaults{noReconnect: true}, pair, "does not follow"},
		"open what comes back":                 {simFaults{noQuarantine: true}, circular, "is judged while"},
	} {
		t.Run(name, func(t *testing.T) {
			var other []string
			for seed := uint64(1); seed <= 150; seed++ {
				broken := simulate(seed, c.shape, c.faults, nil).check.broken
				if broken != "" && strings.Contains(broken, c.want) {
					return
				}
				if broken != "" && len(other) < 5 {
					other = append(other, broken)
				}
			}
			t.Errorf("not noticed; what was: %q", other)
		})
	}
}
