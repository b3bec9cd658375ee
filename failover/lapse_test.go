package failover

import (
	"testing"
	"time"

	"github.com/onewriter/onewriter/topology"
)

func TestLapse(t *testing.T) {
	start := time.Now()
	lapsed, known := false, true
	cfg := Config{WatchdogTTL: 5 * time.Second, WatchdogLapsed: func(string) (bool, bool) { return lapsed, known }}
	snap := func(readOnly bool) *topology.Snapshot {
		return &topology.Snapshot{Servers: []topology.Observation{{
			Instance: topology.Instance{Name: "a"}, Class: topology.ClassOK, FactsAt: start, Facts: topology.Facts{ReadOnly: readOnly},
		}}}
	}
	var l lapse
	for _, c := range []struct {
		what     string
		after    time.Duration
		readOnly bool
		want     bool
	}{
		{"open", time.Second, false, false},
		{"closed by a person", 2 * time.Second, true, false},
		{"still", 20 * time.Second, true, false},
		{"opened", 21 * time.Second, false, false},
		{"closed by the watchdog", 30 * time.Second, true, true},
		{"still", 40 * time.Second, true, true},
		{"opened again", 41 * time.Second, false, false},
	} {
		lapsed = c.after >= 5*time.Second
		if got := l.see(snap(c.readOnly), "a", cfg, start.Add(c.after)); got != c.want {
			t.Errorf("%s: %t", c.what, got)
		}
	}
	lapsed, known = false, false
	l = lapse{}
	l.see(snap(false), "a", cfg, start)
	if !l.see(snap(true), "a", cfg, start.Add(4*time.Second)) {
		t.Error("closed by the lease of the process before")
	}
	l.see(snap(false), "a", cfg, start.Add(5*time.Second))
	if l.see(snap(true), "a", cfg, start.Add(time.Hour)) {
		t.Error("closed by a watchdog that is not there")
	}
}
