package health

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// TestNothingOldIsToldOfANewRole checks what is shown right after the primary role has moved: nothing that was seen before
// is told of the roles that the servers have now, and a status can wait for what is new.
func TestNothingOldIsToldOfANewRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(time.Second)
		a, b := standbyFacts(), primaryFacts()
		a.ServerID, b.ServerID = 10, 20
		a.Links[0].Source, a.Links[0].SourceServerID = "b:3306", 20
		r.a.set(func(f *fakeProber) { f.answer.facts, f.took = a, 20*time.Millisecond })
		r.b.set(func(f *fakeProber) { f.answer.facts, f.took = b, 20*time.Millisecond })
		time.Sleep(10 * time.Millisecond)
		r.SetPrimary(topology.Primary{Instance: topology.Instance{Name: "b", Address: "b:3306"}, Epoch: 2})
		for _, o := range r.Snapshot().Servers {
			if len(o.Problems) > 0 || o.Class != topology.ClassOK {
				t.Errorf("%s is %s with %q, seen before it had this role", o.Instance.Name, o.Class, o.Problems)
			}
		}
		s := r.Settled(t.Context())
		if a, _ := s.Find("a"); !a.Facts.ReadOnly || len(a.Problems) > 0 {
			t.Errorf("the old primary: %+v", a)
		}
		if b, _ := s.Find("b"); b.Facts.ReadOnly || b.Class != topology.ClassOK {
			t.Errorf("the new primary: %+v", b)
		}

		r.a.set(func(f *fakeProber) { f.answer.facts.ReadOnly = false })
		time.Sleep(time.Second)
		if a := r.server(t, "a"); !slices.ContainsFunc(a.Problems, func(p string) bool { return strings.Contains(p, "read_only is off") }) {
			t.Errorf("a standby that is open, and this is said: %q", a.Problems)
		}

		r.b.set(func(f *fakeProber) { f.took = time.Hour })
		r.SetPrimary(topology.Primary{})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		begun := time.Now()
		if s := r.Settled(ctx); s == nil || time.Since(begun) > 200*time.Millisecond {
			t.Errorf("%v after %s", s, time.Since(begun))
		}
		time.Sleep(3 * time.Second) // b's time is over: there is nothing to wait for
		begun = time.Now()
		if r.Settled(t.Context()); time.Since(begun) != 0 {
			t.Errorf("waited %s for a server that was found silent", time.Since(begun))
		}
	})
}
