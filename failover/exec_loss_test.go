package failover

import (
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// One transaction of the candidate's own hides nothing of what it lacks.
func TestMissingOfDivergedHistories(t *testing.T) {
	maria := func(text string) gtid.Position {
		p, err := gtid.ParseMariaDB(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tt := range []struct {
		have, want string
		n          uint64
	}{
		{"0-10-1000,1-20-7", "0-10-3000", 2000},
		{"0-10-1000,0-20-1001", "0-10-3000", 1999},
		{"0-10-1000", "0-10-3000", 2000},
		{"0-10-3000,1-20-7", "0-10-3000", 0},
		{"0-20-9", "0-10-8,0-20-9", 0}, // 0-10-8 is only forgotten
	} {
		if n, ok := missing(maria(tt.have), maria(tt.want), topology.Facts{Flavor: "mariadb", GTIDStrict: true}); n != tt.n || !ok {
			t.Errorf("missing(%s, %s) = %d, %t, want %d", tt.have, tt.want, n, ok, tt.n)
		}
	}
}

// A position by file vouches for what was committed before it was read, which may be long before the newest probe.
func TestHasAllUntilThePositionWasRead(t *testing.T) {
	at := time.Now()
	seen, err := gtid.ParseFile("a.000001:900")
	if err != nil {
		t.Fatal(err)
	}
	old := topology.Observation{FactsAt: at, PositionAt: at.Add(-900 * time.Millisecond), Facts: topology.Facts{Position: seen}}
	facts := topology.Facts{Links: []topology.Link{{AppliedFile: seen}}}
	if got, all := hasAllOf(facts, old); !all || !got.Equal(old.PositionAt) {
		t.Errorf("has all until %s before the probe, %t", at.Sub(got), all)
	}
}
