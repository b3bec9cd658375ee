package migration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// maxFailures is how many failing sequences of a run are made small and shown.
const maxFailures = 6

// TestSessionsMove runs random sequences.
func TestSessionsMove(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		began := time.Now()
		var next atomic.Uint64
		var mu sync.Mutex
		var wg sync.WaitGroup
		sum := map[string]int{}
		failures := 0
		for range min(*workersFlag, *sequencesFlag) {
			w := newWorker(t, p)
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer w.stop()
				for {
					n := next.Add(1)
					if n > uint64(*sequencesFlag) {
						return
					}
					seed := *seedFlag + n - 1
					q := generator{rngOf(seed), p, seed}.sequence()
					from := time.Now()
					out, err := w.run(q)
					if d := time.Since(from); d > 10*time.Second {
						t.Logf("seed %d took %v:\n%v", seed, d, q)
					}
					mu.Lock()
					count(sum, out, err)
					show := err != nil && !errors.Is(err, errSkip)
					if show {
						failures++
						show = failures <= maxFailures
					}
					mu.Unlock()
					if show {
						small, why := w.shrink(q, err)
						t.Errorf("seed %d: %v\nfirst it was: %v\n%v", seed, why, err, small)
					}
				}
			}()
		}
		wg.Wait()
		if failures > maxFailures {
			t.Errorf("%d sequences failed; %d are shown", failures, maxFailures)
		}
		t.Logf("%d sequences in %.1f s: %s", *sequencesFlag, time.Since(began).Seconds(), figures(sum))
		least := *sequencesFlag / 3
		if !p.tracks() {
			least /= 2
		}
		if sum["carried over"] < least {
			t.Errorf("only %d of %d sessions moved", sum["carried over"], *sequencesFlag)
		}
	})
}

func count(sum map[string]int, out outcome, err error) {
	switch {
	case errors.Is(err, errSkip):
		sum["not comparable"]++
	case err != nil:
		sum["failed"]++
	case len(out.pinned) > 0:
		sum["pinned"]++
		when := " at a move"
		if out.lost {
			when = " at a loss"
		}
		for _, k := range out.pinned {
			sum["pin "+k+when]++
		}
	default:
		sum["carried over"]++
	}
	if out.aborts > 0 {
		sum["with a lost transaction"]++
	}
}

func figures(sum map[string]int) string {
	var list []string
	for k, n := range sum {
		list = append(list, fmt.Sprintf("%s %d", k, n))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
