package fence

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestOutlived(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name    string
		renewed time.Time
		after   time.Duration
		ok      bool
	}{
		{"never renewed", time.Time{}, time.Second, false},
		{"no watchdog", now.Add(-time.Hour), 0, false},
		{"too early", now.Add(-999 * time.Millisecond), time.Second, false},
		{"renewed in the future", now.Add(time.Second), time.Second, false},
		{"just in time", now.Add(-time.Second), time.Second, true},
		{"long ago", now.Add(-time.Hour), time.Second, true},
	} {
		proof, err := Outlived("db1", c.renewed, c.after, now)
		switch {
		case c.ok && (err != nil || proof.Kind() != ByWatchdog || proof.Of() != "db1" || len(proof.Evidence()) == 0 || !proof.spend()):
			t.Errorf("%s: %v, %v", c.name, proof, err)
		case !c.ok && (!errors.Is(err, ErrNotOutlived) || proof != nil):
			t.Errorf("%s: %v, %v", c.name, proof, err)
		}
	}
}

// Going on without a fence is possible once, and says that it is none.
func TestUnfencedSaysSo(t *testing.T) {
	p := Unfenced("db1", "The operator said so.")
	if p.Kind() != NotFenced || p.Of() != "db1" || len(p.Evidence()) != 1 {
		t.Errorf("%s, %q", p.Kind(), p.Evidence())
	}
	if !p.spend() || p.spend() {
		t.Error("it opens not exactly one server")
	}
}

// A proof that nobody made opens nothing.
func TestZeroProofOpensNothing(t *testing.T) {
	for _, p := range []*Proof{nil, {}} {
		err := Promote(context.Background(), p, Server{Name: "db2"}, nil, Limits{})
		if !errors.Is(err, ErrNoProof) {
			t.Errorf("got %v", err)
		}
	}
}

func TestKindsHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for k := NotFenced; k <= ByWatchdog; k++ {
		seen[k.String()] = true
	}
	if len(seen) != 6 || Kind(200).String() != "not-fenced" {
		t.Errorf("words: %v", seen)
	}
}
