package proxy

import (
	"runtime/pprof"
	"strings"
	"testing"
)

func TestPhasesInProfiles(t *testing.T) {
	shown := func(p phase) bool {
		var text strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&text, 1); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(text.String(), `labels: {"phase":"`+p.String()+`"}`)
	}
	bed := newTestbed(t, func(c *Config) { c.PhaseLabels = true })
	c := bed.client()
	bed.eventually("the session is idle", func() bool { return shown(phaseIdle) })
	bed.cluster.Hold("test")
	done := make(chan error, 1)
	go func() { done <- c.exec("INSERT 1") }()
	bed.eventually("the session relays", func() bool { return shown(phaseRelay) })
	bed.cluster.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	bed.b.Silence("SET")
	bed.move()
	go func() { done <- c.exec("INSERT 2") }()
	bed.eventually("the session is rebuilt", func() bool { return shown(phaseRebuild) })
	bed.b.Silence("")
	bed.b.Cut()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestNoPhasesUnlessWanted(t *testing.T) {
	bed := newTestbed(t, nil)
	bed.client().must("DO 1")
	var text strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&text, 1); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), `"phase":`) {
		t.Error("a session is labelled")
	}
}
