package failover

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/coord/local"
)

// mistaken is the cluster as somebody has configured it who gave the standby the primary's address.
func (c *cluster) mistaken(primary string) *cluster {
	c.t.Helper()
	servers := slices.Clone(c.servers)
	for i := range servers {
		servers[i].Address = c.address(primary)
	}
	m := newCluster(c.t, servers)
	m.path = c.path
	return m
}

// Two names that lead to one server: nothing stored, nobody is served and the reasons say why; with the state file the
// primary serves on. It is never closed for being "the other one".
func TestTwoNamesOfOneServer(t *testing.T) { onPairs(t, testTwoNamesOfOneServer) }

func testTwoNamesOfOneServer(t *testing.T, c *cluster) {
	primary := c.writableNow()
	standby := c.other(primary)
	m := c.mistaken(primary)
	ctl, stop := m.start(nil)
	s := m.waitState(ctl, StateNoPrimary)
	if s.Primary != "" || !strings.Contains(strings.Join(s.Reasons, " "), "lead to the same server") {
		t.Errorf("nothing stored: %+v", s)
	}
	stop()

	ctl, stop = c.start(nil)
	before := c.waitState(ctl, StateRunning)
	stop()
	for _, away := range []bool{false, true} {
		if away {
			c.leaveBehind(standby)
		}
		m = c.mistaken(primary)
		ctl, stop = m.start(nil)
		m.waitFor("the mistake is told of", func() bool {
			s = ctl.Status()
			return s.State == StateDegraded && strings.Contains(strings.Join(s.Reasons, " "), "lead to the same server")
		})
		if s.Primary != primary || s.Epoch != before.Epoch {
			t.Errorf("away %t: %+v after %+v", away, s, before)
		}
		if _, err := ctl.Switchover(context.Background(), Request{}); err == nil || !strings.Contains(err.Error(), "lead to the same server") {
			t.Errorf("away %t: a switchover got %v", away, err)
		}
		if away {
			m.waitFor("the server that is away is not closed", func() bool {
				return strings.Contains(strings.Join(ctl.Status().Reasons, " "), "The return of "+standby+" failed")
			})
		}
		for _, e := range ctl.Journal().Events(0) {
			for key := range e.Evidence {
				if strings.Contains(key, "fencer") {
					t.Errorf("away %t: something was closed: %+v", away, e)
				}
			}
		}
		stop()
	}
	if ro, _ := c.flags(primary); ro {
		t.Error("the primary was closed")
	}
	ctl, _ = c.start(nil)
	c.waitFor("all is well with the right address", func() bool { s := ctl.Status(); return s.State == StateRunning && s.Primary == primary })
}

// leaveBehind stores that the server is away because it was found open.
func (c *cluster) leaveBehind(server string) {
	c.t.Helper()
	store := c.store()
	defer func() { _ = store.Close() }()
	s, found, err := store.Load(context.Background())
	if err != nil || !found {
		c.t.Fatal(found, err)
	}
	s.Away = []coord.Departure{{Server: server, Epoch: s.Epoch, Why: "split", WindowMS: -1}}
	if err := store.Save(context.Background(), s); err != nil {
		c.t.Fatal(err)
	}
}

// store opens the state file.
func (c *cluster) store() *local.File {
	c.t.Helper()
	f, err := local.Open(c.path, "c", "test")
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}
