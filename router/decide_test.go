package router

import (
	"testing"
	"time"

	"github.com/onewriter/onewriter/topology"
)

var (
	instA = topology.Instance{Name: "a", Address: "a:3306"}
	instB = topology.Instance{Name: "b", Address: "b:3306"}
	instC = topology.Instance{Name: "c", Address: "c:3306"}
	none  = topology.Instance{}
)

func TestDecide(t *testing.T) {
	now := time.Unix(1000, 0)
	const s = time.Second
	ready := func(i topology.Instance, lag time.Duration) Standby {
		return Standby{Instance: i, Ready: true, Lag: lag}
	}
	down := func(i topology.Instance) Standby { return Standby{Instance: i} }
	primary := topology.Primary{Instance: instA, Epoch: 7}
	lease := topology.Primary{Instance: instA, Epoch: 7, ValidUntil: now.Add(s)}
	expired := topology.Primary{Instance: instA, Epoch: 7, ValidUntil: now}
	nobody := topology.Primary{Epoch: 7}
	toPrimary, toStandby := Policy{}, Policy{Route: RouteStandby}
	lagged := Policy{Route: RouteStandby, MaxLag: 10 * s}
	fallback := Policy{Route: RouteStandby, MaxLag: 10 * s, Fallback: true}
	for _, c := range []struct {
		name     string
		primary  topology.Primary
		standbys []Standby
		policy   Policy
		current  topology.Instance
		want     string // target, with * when reached as the primary; "" when none
	}{
		{"primary", primary, nil, toPrimary, none, "a*"},
		{"primary ignores standbys", primary, []Standby{ready(instB, 0)}, toPrimary, instB, "a*"},
		{"nobody", nobody, []Standby{ready(instB, 0)}, toPrimary, none, ""},
		{"lease valid", lease, nil, toPrimary, none, "a*"},
		{"lease over", expired, nil, toPrimary, instA, ""},
		{"standby", primary, []Standby{ready(instB, time.Hour)}, toStandby, none, "b"},
		{"standby without a primary", nobody, []Standby{ready(instB, 0)}, toStandby, none, "b"},
		{"standby within lag", primary, []Standby{ready(instB, 10*s)}, lagged, none, "b"},
		{"standby beyond lag", primary, []Standby{ready(instB, 10*s+1)}, lagged, none, ""},
		{"standby down", primary, []Standby{down(instB)}, lagged, none, ""},
		{"no standby", primary, nil, lagged, none, ""},
		{"primary is no standby", primary, []Standby{ready(instA, 0)}, lagged, none, ""},
		{"least lag", primary, []Standby{ready(instB, 2*s), ready(instC, s)}, lagged, none, "c"},
		{"stays", primary, []Standby{ready(instB, 2*s), ready(instC, s)}, lagged, instB, "b"},
		{"stays up to the limit", primary, []Standby{ready(instB, 10*s), ready(instC, s)}, lagged, instB, "b"},
		{"leaves beyond the limit", primary, []Standby{ready(instB, 11*s), ready(instC, s)}, lagged, instB, "c"},
		{"falls back", primary, []Standby{ready(instB, 11*s)}, fallback, instB, "a*"},
		{"falls back when down", primary, []Standby{down(instB)}, fallback, none, "a*"},
		{"nowhere to fall back", nobody, []Standby{down(instB)}, fallback, none, ""},
		{"does not return on the brink", primary, []Standby{ready(instB, 9*s)}, fallback, instA, "a*"},
		{"returns", primary, []Standby{ready(instB, 5*s)}, fallback, instA, "b"},
		{"any lag returns", primary, []Standby{ready(instB, time.Hour)}, Policy{Route: RouteStandby, Fallback: true}, instA, "b"},
	} {
		d := Decide(&State{Primary: c.primary, Standbys: c.standbys}, c.policy, c.current, now)
		got := d.Target.Name
		if d.Primary {
			got += "*"
		}
		if got != c.want || (d.Reason != "") != (c.want == "") {
			t.Errorf("%s: %q (%s), want %q", c.name, got, d.Reason, c.want)
		}
		if d.Target.Known() && d.Epoch != 7 {
			t.Errorf("%s: epoch %d", c.name, d.Epoch)
		}
	}
}

func TestTablePublish(t *testing.T) {
	var table Table
	if p := table.Load().Primary; p.Instance.Known() {
		t.Fatalf("a fresh table names %v", p)
	}
	changed := table.Changed()
	if !table.Publish(topology.Primary{Instance: instA, Epoch: 2}) {
		t.Fatal("refused")
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	table.Observe([]Standby{{Instance: instB, Ready: true}})
	if table.Publish(topology.Primary{Instance: instB, Epoch: 1}) {
		t.Error("an older epoch moved the pointer")
	}
	if s := table.Load(); s.Primary.Instance != instA || len(s.Standbys) != 1 {
		t.Errorf("%+v", s)
	}
	if !table.Publish(topology.Primary{Epoch: 2}) || table.Load().Primary.Instance.Known() {
		t.Error("the same epoch may withdraw its primary")
	}
	if s := table.Load(); len(s.Standbys) != 1 {
		t.Error("the standbys are forgotten")
	}
}

func TestRouteNames(t *testing.T) {
	if RoutePrimary.String() != "primary" || RouteStandby.String() != "standby" || Route(9).String() != "unknown" {
		t.Error("names")
	}
}
