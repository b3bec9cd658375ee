package failover

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// TestAbandon: the answer to a promotion is lost and its server dies. An operator leaves it behind: the old primary is opened
// again, and the other one follows it when it is back. On MySQL Onewriter is restarted before that.
func TestAbandon(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			testAbandon(t, newMortal(t, mysqltest.PairOptions{Flavor: f}), f == mysqltest.MySQL)
		})
	}
}

func testAbandon(t *testing.T, m *mortal, restart bool) {
	m.limits.Recheck = 50 * time.Millisecond
	ctl, stop := m.start(nil)
	before := m.waitState(ctl, StateRunning)
	m.createTable("a")
	l := m.startLoad(2, 5*time.Millisecond)
	h := func(p string) error {
		if p != "promote:after" {
			return nil
		}
		m.server("b").Kill9()
		return errors.New("injected")
	}
	m.hook.Store(&h)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var aborted *AbortedError
	if _, err := ctl.Switchover(ctx, Request{To: "b"}); !errors.As(err, &aborted) || !aborted.Unresolved {
		t.Fatalf("got %v, want an unresolved abort", err)
	}
	var refused *RefusedError
	if _, err := ctl.Failover(ctx, FailoverRequest{}); !errors.As(err, &refused) {
		// a settle may be going on, which refuses, too
		t.Errorf("without force: %v", err)
	}
	if restart {
		stop()
		m.gate.Publish(topology.Primary{}) // as the data path of a new process is
		m.gate.Resume()
		ctl, _ = m.start(nil)
	}
	m.waitFor("b is left behind", func() bool { // a new process has to see first that b does not answer
		_, err := ctl.Failover(ctx, FailoverRequest{Force: true})
		if err != nil && !restart {
			t.Fatal(err)
		}
		return err == nil
	})
	m.waitFor("a serves again", func() bool { return ctl.Status().Primary == "a" })
	if s := ctl.Status(); s.Epoch != before.Epoch+2 {
		t.Errorf("epoch %d after %d: that of the operation may be in a row of b", s.Epoch, before.Epoch)
	}
	if !l.goesOn() {
		t.Error("nothing is written after the old primary was opened again")
	}
	s := m.waitState(ctl, StateDegraded)
	if len(s.Away) != 1 || s.Away[0].Server != "b" {
		t.Errorf("away are %+v", s.Away)
	}
	m.revive("b")
	lost := m.cure(ctl, "b")
	acks, _ := l.stop()
	m.wantOnlyWritable("a")
	m.wantEverywhereBut(acks, lost)
}
