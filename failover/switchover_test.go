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
