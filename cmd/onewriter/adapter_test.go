package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/failover"
	"github.com/onewriter/onewriter/topology"
)

func TestServerStatus(t *testing.T) {
	i := topology.Instance{Name: "a", Address: "127.0.0.1:3306"}
	up := topology.Link{IO: topology.ThreadYes, SQL: topology.ThreadYes, LagKnown: true, Lag: time.Second}
	down := topology.Link{IO: topology.ThreadConnecting, SQL: topology.ThreadYes}
	seen := func(class topology.Class, measured time.Duration, links ...topology.Link) topology.Observation {
		return topology.Observation{Instance: i, Class: class, FactsAt: time.Now(), MeasuredLag: measured, Facts: topology.Facts{ReadOnly: true, Links: links}}
	}
	for name, c := range map[string]struct {
		o       topology.Observation
		primary bool
		role    string
		healthy bool
		lag     float64 // negative: unknown
	}{
		"never seen":              {topology.Observation{}, false, "unknown", false, -1},
		"never seen primary":      {topology.Observation{}, true, "primary", false, -1},
		"primary":                 {seen(topology.ClassOK, 0, up), true, "primary", true, -1},
		"primary that hangs":      {seen(topology.ClassTimeout, 0), true, "primary", false, -1},
		"standby":                 {seen(topology.ClassOK, 3*time.Second, up), false, "standby", true, 3},
		"standby, only reported":  {seen(topology.ClassOK, -1, up), false, "standby", true, 1},
		"standby, broken link":    {seen(topology.ClassOK, 0, down), false, "standby", false, -1},
		"standby, down":           {seen(topology.ClassRefused, 0, up), false, "standby", false, -1},
		"answers, but no replica": {seen(topology.ClassOK, 0), false, "unknown", false, -1},
	} {
		t.Run(name, func(t *testing.T) {
			s := serverStatus(i, c.o, c.primary)
			if s.Role != c.role || s.Healthy != c.healthy || s.Name != "a" || s.Address != i.Address {
				t.Errorf("%+v", s)
			}
			if (s.LagSeconds == nil) != (c.lag < 0) || s.LagSeconds != nil && *s.LagSeconds != c.lag {
				t.Errorf("lag %v, want %v", s.LagSeconds, c.lag)
			}
		})
	}
}

// TestJournalFollow checks that a reader gets every event once and in order, kept ones and new ones.
func TestJournalFollow(t *testing.T) {
	j, err := failover.NewJournal(failover.JournalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	add := func() {
		if _, err := j.Append(failover.Event{Kind: "step", Reasons: []string{"x"}}); err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		add()
	}
	enough := errors.New("enough")
	var got []uint64
	err = adminJournal{j}.Follow(t.Context(), 1, func(e api.Event) error {
		got = append(got, e.Seq)
		switch len(got) {
		case 2: // all kept ones: now more come than a subscriber may be late
			for range 400 {
				add()
			}
		case 402:
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	for i, seq := range got {
		if seq != uint64(i+2) {
			t.Fatalf("event %d has number %d", i, seq)
		}
	}
}

// TestDefaultsFitTheController checks that what conf lets pass is what the controller accepts.
func TestDefaultsFitTheController(t *testing.T) {
	cfg, err := conf.Parse(conf.Source{Name: "t", Data: []byte(
		"clusters:\n  - name: c\n    servers: [{name: a, address: 'h:1'}]\n    listeners: [{address: ':6446', route: primary}]\n    control: {user: u, password: p}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if err := limitsOf(cfg.Clusters[0].Failover).Validate(); err != nil {
		t.Error(err)
	}
	f := conf.Failover{MaxLag: 100 * time.Millisecond, ThrottleTimeout: 10 * time.Millisecond, DrainTimeout: time.Millisecond, FenceTimeout: 200 * time.Millisecond, CatchupTimeout: 10 * time.Millisecond}
	if err := limitsOf(f).Validate(); err != nil {
		t.Errorf("the smallest values: %v", err)
	}
	f = conf.Failover{MaxLag: time.Hour, ThrottleTimeout: 10 * time.Minute, DrainTimeout: 10 * time.Minute, FenceTimeout: time.Minute, CatchupTimeout: 10 * time.Minute}
	if err := limitsOf(f).Validate(); err != nil {
		t.Errorf("the largest values: %v", err)
	}
}

func TestModeOffRefusesSwitchovers(t *testing.T) {
	c := &adminCluster{name: "c", mode: conf.FailoverOff}
	if _, err := c.Switchover(context.Background(), api.SwitchoverRequest{}); err == nil {
		t.Error("it was not refused")
	}
}
