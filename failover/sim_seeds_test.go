package failover

import "testing"

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
		"a failover whose candidate cannot be connected to after cutoff": 91,
	} {
		t.Run(name, func(t *testing.T) {
			w := simulate(seed, drawShape, simFaults{}, nil)
			switch {
			case w.check.broken == "":
			case awaited(w.check.broken):
				t.Logf("seed %d, event %d: %s", seed, w.events, w.check.broken)
			default:
				t.Errorf("seed %d, event %d: %s", seed, w.events, w.check.broken)
			}
		})
	}
}
