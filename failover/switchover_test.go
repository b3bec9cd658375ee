package failover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// Switchovers back and forth under load, in every kind of replication: no error, no row lost, no row written by a
// server that was not the primary, and short pauses.
func TestSwitchoverBackAndForth(t *testing.T) {
	for _, o := range []mysqltest.PairOptions{
		{}, {FilePos: true}, {SemiSync: true},
		{Star: true, Standbys: 2}, {Star: true, Standbys: 2, FilePos: true}, {Star: true, SemiSync: true},
	} {
		for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
			o.Flavor = f
			t.Run(kindOf(o), func(t *testing.T) {
				p := startPair(t, o)
				t.Cleanup(func() {
					if err := p.Close(); err != nil {
						t.Error(err)
					}
				})
				backAndForth(t, clusterOf(t, p), 6)
			})
		}
	}
}

func kindOf(o mysqltest.PairOptions) string {
	kind := o.Flavor.String()
	for _, x := range []struct {
		on   bool
		name string
	}{{o.Star, "star"}, {o.FilePos, "filepos"}, {o.SemiSync, "semisync"}} {
		if x.on {
			kind += "-" + x.name
		}
	}
	return fmt.Sprintf("%s-%d", kind, max(o.Standbys, 1)+1)
}

// Somebody left the source side of semi-sync on at the standby, and the primary does without: the new primary does, too,
// instead of keeping its first commits waiting for nobody. (Only MariaDB has it built in.)
func TestSwitchoverWithoutSemiSync(t *testing.T) { onPairs(t, testSwitchoverWithoutSemiSync) }

func testSwitchoverWithoutSemiSync(t *testing.T, c *cluster) {
	ctl, _ := c.start(nil)
	to := c.other(c.waitState(ctl, StateRunning).Primary)
	written, deadline := 0, time.Now().Add(20*time.Second) // what was written at the start must have arrived
	for ; written == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		_ = c.admin[to].QueryRow("SELECT COUNT(*) FROM onewriter.epoch").Scan(&written) // not there yet
	}
	if strings.HasSuffix(t.Name(), "/mariadb") {
		c.exec(to, "SET GLOBAL rpl_semi_sync_master_enabled = 1")
		t.Cleanup(func() { c.exec(to, "SET GLOBAL rpl_semi_sync_master_enabled = 0") })
	}
	if r := c.switchAround(ctl); r.To != to || len(r.Warnings) > 0 {
		t.Errorf("to %s with warnings %q", r.To, r.Warnings)
	}
	var name, on string
	err := c.admin[to].QueryRow("SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_master_enabled'").Scan(&name, &on)
	if err == nil && on != "OFF" {
		t.Errorf("the source side of the new primary is %s", on)
	}
	c.wantOnlyWritable(to)
}

// switchAround moves the role. On a busy machine the standbys may have to catch up first.
func (c *cluster) switchAround(ctl *Controller) Result {
	c.t.Helper()
	defer c.slowDown()()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		r, err := ctl.Switchover(context.Background(), Request{})
		if err == nil {
			return r
		}
		if behind := strings.Contains(err.Error(), "behind"); !behind || time.Now().After(deadline) {
			c.t.Fatal(err)
		}
	}
}

func backAndForth(t *testing.T, c *cluster, times int) {
	ctl, _ := c.start(nil)
	c.createTable(c.waitState(ctl, StateRunning).Primary)
	l := c.startLoad(8, time.Millisecond)
	time.Sleep(300 * time.Millisecond)
	var pauses []float64
	for range times {
		r := c.switchAround(ctl)
		if len(r.Warnings) > 0 || len(r.SessionsClosed) > 0 {
			t.Errorf("%s to %s: warnings %q, closed %v", r.From, r.To, r.Warnings, r.SessionsClosed)
		}
		t.Logf("%s to %s: pause %.1f ms, %v", r.From, r.To, r.PauseMS, r.Phases)
		pauses = append(pauses, r.PauseMS)
		c.wantOnlyWritable(r.To)
		time.Sleep(200 * time.Millisecond)
	}
	acks, errs := l.stop()
	for _, err := range errs {
		t.Error(err)
	}
	c.wantEverywhere(acks)
	slices.Sort(pauses)
	t.Logf("%d acknowledged, pause median %.1f ms, longest %.1f ms", len(acks), pauses[len(pauses)/2], pauses[len(pauses)-1])
}
