package failover

import (
	"strings"
	"testing"
	"time"
)

// Some time after a switchover it is looked whether the old primary follows; what is said is true.
func TestWhetherTheOthersFollow(t *testing.T) { onPairs(t, testWhetherTheOthersFollow) }

func testWhetherTheOthersFollow(t *testing.T, c *cluster) {
	c.limits.Follow = 50 * time.Millisecond
	ctl, _ := c.start(nil)
	c.waitState(ctl, StateRunning)
	r := c.switchAround(ctl)
	if e := c.lookedAt(ctl, r.ID); e.Kind != "followed" || e.Outcome != "ok" || len(e.Reasons) != 0 {
		t.Errorf("it follows, and this was told: %+v", e)
	}

	old := r.To
	stop := func(point string) error {
		if point == "follow:before" {
			c.exec(old, "STOP REPLICA SQL_THREAD")
		}
		return nil
	}
	c.hook.Store(&stop)
	r = c.switchAround(ctl)
	e := c.lookedAt(ctl, r.ID)
	c.hook.Store(nil)
	c.exec(old, "START REPLICA SQL_THREAD")
	want := "The switchover to " + r.To + " is complete, but 50ms after it " + old + " does not replicate from " + r.To + ": receiver "
	if e.Kind != "warning" || len(e.Reasons) != 1 || !strings.HasPrefix(e.Reasons[0], want) || !strings.Contains(e.Reasons[0], "applier No") {
		t.Errorf("it does not follow, and this was told: %+v", e)
	}
}

// lookedAt waits for what was found out about the followers after an operation.
func (c *cluster) lookedAt(ctl *Controller, operation string) (found Event) {
	c.t.Helper()
	c.waitFor("a word about who follows", func() bool {
		events, err := ctl.Journal().History(Filter{Cluster: "c", Operation: operation, Kinds: []string{"followed", "warning"}, Limit: 9})
		if len(events) > 0 {
			found = events[0]
		}
		return err == nil && len(events) > 0
	})
	return found
}
