package failover

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/topology"
)

func scratchPair(t *testing.T) *cluster {
	addresses := strings.Split(os.Getenv("SCRATCH"), ",")
	var servers []topology.Instance
	for i, a := range addresses {
		servers = append(servers, topology.Instance{Name: string(rune('a' + i)), Address: a})
	}
	return newCluster(t, servers)
}

func TestSwitchoverBackAndForthUnderLoad(t *testing.T) {
	c := scratchPair(t)
	ctl, _ := c.start(nil)
	c.waitState(ctl, StateRunning)
	first := ctl.Status().Primary
	c.createTable(first)
	l := c.startLoad(8, time.Millisecond)
	time.Sleep(500 * time.Millisecond)
	var pauses []float64
	for range 6 {
		r, err := ctl.Switchover(context.Background(), Request{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s->%s epoch %d pause %.1f ms moved %d closed %v warnings %v phases %v", r.From, r.To, r.Epoch, r.PauseMS, r.SessionsMoved, r.SessionsClosed, r.Warnings, r.Phases)
		pauses = append(pauses, r.PauseMS)
		c.wantOnlyWritable(r.To)
		time.Sleep(300 * time.Millisecond)
	}
	acks, errs := l.stop()
	slices.Sort(pauses)
	t.Logf("%d acknowledged, %d errors, longest write %s, median pause %.1f ms, max %.1f ms", len(acks), len(errs), l.longst, pauses[len(pauses)/2], pauses[len(pauses)-1])
	for _, err := range errs {
		t.Error(err)
	}
	c.wantEverywhere(acks)
}
