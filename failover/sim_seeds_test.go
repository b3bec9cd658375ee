package failover

import (
	"math/rand/v2"
	"testing"
)

// TestSimulationSeeds plays again what was wrong once. A change of the simulation gives the seeds other meanings; then
// they are only more seeds.
func TestSimulationSeeds(t *testing.T) {
	for name, seed := range map[string]uint64{
		"a primary that was away before is stored as away":               16,
		"the same before the new primary is stored":                      73,
		"a primary that restarts while the others are repointed":         324,
		"the window of a reign of less than a second":                    342,
		"the window ends with the last answer to a client":               403,
		"a new primary waits for acknowledgements of nobody":             13,
		"the same of the other server":                                   24,
		"the clock was set back after a failover":                        40,
		"a third server that could not be asked":                         34,
		"a diverged server that still receives":                          158,
		"an opened server that the next process takes back":              182,
		"the link to a server left behind could not be parked":           5099,
		"semi-sync was off since the primary had restarted":              5218,
		"a candidate that was away for long before the primary died":     622,
		"a candidate that this process has never seen to receive":        967,
		"the process ends while others are pointed at the new primary":   9,
		"an old primary that was not pointed at the new one yet":         301,
		"the same by file and position":                                  629,
		"a server to be closed whose commits wait for nobody":            361,
		"a primary that restarts while nobody looks":                     475,
		"a promoted server that hung while it was looked for":            584,
		"a receiver that is stopped by an order given up":                680,
		"the same of an order that is older than the link":               330,
		"a witness that has no connection left":                          1121,
		"a candidate without a link to the old primary":                  313,
		"a failover whose candidate cannot be connected to after cutoff": 91,
	} {
		t.Run(name, func(t *testing.T) {
			w := simulate(seed, drawShape, simFaults{}, nil)
			if w.check.broken != "" {
				t.Errorf("seed %d, event %d: %s", seed, w.events, w.check.broken)
			}
		})
	}
}

// TestSimulationTurns ends Onewriter whenever it has opened a server in the place of one that is gone, and lets the next
// process reach the other half.
func TestSimulationTurns(t *testing.T) {
	shape := func(r *rand.Rand) simShape {
		s := drawShape(r)
		s.automatic, s.unfenced, s.turns = true, true, true
		return s
	}
	failovers := 0
	for seed := uint64(1); seed <= 60; seed++ {
		w := simulate(seed, shape, simFaults{}, nil)
		if w.check.broken != "" {
			t.Errorf("seed %d, event %d: %s", seed, w.events, w.check.broken)
		}
		failovers += w.check.counts.failovers
	}
	if failovers < 60 {
		t.Errorf("%d failovers in 60 seeds", failovers)
	}
}
