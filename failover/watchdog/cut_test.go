package watchdog

import (
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/faultnet"
	"github.com/onewriter/onewriter/topology"
)

// The network between the renewer and the primary is cut without a word: the primary closes itself, by the time that
// Renewed promises, and trying again does not move that time for ever.
func TestCutOffPrimaryClosesItself(t *testing.T) {
	onPairs(t, func(r *rig) {
		link, err := faultnet.Listen(r.pair.Servers[0].Addr())
		if err != nil {
			r.t.Fatal(err)
		}
		defer link.Close()
		r.renewer.SetPrimary(topology.Primary{Instance: topology.Instance{Name: "a", Address: link.Addr()}})
		for begun := time.Now(); r.renewer.Renewed("a").IsZero(); time.Sleep(20 * time.Millisecond) {
			if time.Since(begun) > 10*time.Second {
				r.t.Fatal("the watchdog does not work")
			}
		}
		r.staysOpen(0, ttl)
		link.Cut()
		cut := time.Now()
		r.closesWithin(0, ClosedAfter(ttl)+time.Second)
		last := r.renewer.Renewed("a")
		r.t.Logf("closed %s after the cut, %s after the last renewal", time.Since(cut).Round(time.Millisecond), time.Since(last).Round(time.Millisecond))
		if last.Sub(cut) > time.Second {
			r.t.Errorf("renewed %s after the cut", last.Sub(cut))
		}
		if late := time.Since(last); late > ClosedAfter(ttl) {
			r.t.Errorf("closed %s after the last renewal, promised %s", late, ClosedAfter(ttl))
		}
		r.renewer.SetPrimary(topology.Primary{})
		if r.renewer.Renewed("a") != last {
			r.t.Error("the last renewal moved")
		}
	})
}
