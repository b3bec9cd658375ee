package failover

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// stepsBefore are the steps whose failure undoes a switchover.
var stepsBefore = []stepName{stepMark, stepThrottle, stepPause, stepDrain, stepFence, stepTarget, stepWait, stepVerify}

// failAt makes the controller fail once at the point.
func (c *cluster) failAt(point string) {
	fired := false
	h := func(p string) error {
		if p != point || fired {
			return nil
		}
		fired = true
		return errors.New("injected at " + point)
	}
	c.hook.Store(&h)
}

// A fault in any step before the promotion leaves the old primary serving, the standby closed and nothing lost; the
// next switchover then succeeds.
func TestAbortAtEveryStep(t *testing.T) { onPairs(t, testAbortAtEveryStep) }

func testAbortAtEveryStep(t *testing.T, c *cluster) {
	ctl, _ := c.start(nil)
	c.waitState(ctl, StateRunning)
	c.createTable(ctl.Status().Primary)
	l := c.startLoad(4, time.Millisecond)
	for _, step := range append(slices.Clone(stepsBefore), stepPromote) {
		for _, when := range []string{"before", "after"} {
			if step == stepPromote && when == "after" {
				continue // that is no abort: see TestLostAnswerToPromotion
			}
			point := string(step) + ":" + when
			before := ctl.Status()
			c.failAt(point)
			_, err := ctl.Switchover(context.Background(), Request{})
			var aborted *AbortedError
			if !errors.As(err, &aborted) || aborted.Unresolved {
				t.Fatalf("%s: got %v, want an abort", point, err)
			}
			after := ctl.Status()
			if after.State != StateRunning || after.Primary != before.Primary || after.Epoch != before.Epoch {
				t.Errorf("%s: was %+v, is %+v", point, before, after)
			}
			if c.gate.isHeld() {
				t.Errorf("%s: clients are still held", point)
			}
			c.wantOnlyWritable(before.Primary)
			if !l.goesOn() {
				t.Errorf("%s: nothing is written any more", point)
			}
		}
	}
	c.hook.Store(nil)
	from := ctl.Status().Primary
	r, err := ctl.Switchover(context.Background(), Request{})
	if err != nil || r.From != from {
		t.Fatalf("the switchover after all the aborts: %+v, %v", r, err)
	}
	acks, errs := l.stop()
	for _, err := range errs {
		t.Error(err)
	}
	c.wantEverywhere(acks)
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

// goesOn waits for rows to be acknowledged.
func (l *load) goesOn() bool {
	count := l.count()
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if l.count() > count {
			return true
		}
	}
	return false
}

// After the promotion there is only forward: faults are noted and the switchover completes.
func TestFaultsAfterPromotion(t *testing.T) { onPairs(t, testFaultsAfterPromotion) }

func testFaultsAfterPromotion(t *testing.T, c *cluster) {
	c.limits.Recheck = 50 * time.Millisecond
	ctl, _ := c.start(nil)
	c.waitState(ctl, StateRunning)
	c.createTable(ctl.Status().Primary)
	l := c.startLoad(4, time.Millisecond)
	for _, step := range []stepName{stepEpoch, stepSave, stepPublish, stepResume, stepFollow} {
		for _, when := range []string{"before", "after"} {
			point := string(step) + ":" + when
			before := ctl.Status()
			c.failAt(point)
			r, err := ctl.Switchover(context.Background(), Request{})
			if step == stepResume && when == "before" && c.gate.isHeld() {
				t.Errorf("%s: clients are still held", point)
			}
			if err != nil || r.To == before.Primary {
				t.Fatalf("%s: %+v, %v", point, r, err)
			}
			c.wantOnlyWritable(r.To)
			time.Sleep(50 * time.Millisecond)
		}
	}
	acks, errs := l.stop()
	for _, err := range errs {
		t.Error(err)
	}
	c.wantEverywhere(acks)
}

// When the answer to the promotion is lost, clients stay held until it is certain what happened.
func TestLostAnswerToPromotion(t *testing.T) { onPairs(t, testLostAnswerToPromotion) }

func testLostAnswerToPromotion(t *testing.T, c *cluster) {
	c.limits.Recheck = 50 * time.Millisecond
	ctl, _ := c.start(nil)
	before := c.waitState(ctl, StateRunning)
	c.createTable(before.Primary)
	l := c.startLoad(4, time.Millisecond)
	c.failAt("promote:after")
	_, err := ctl.Switchover(context.Background(), Request{})
	var aborted *AbortedError
	if !errors.As(err, &aborted) || !aborted.Unresolved {
		t.Fatalf("got %v, want an unresolved abort", err)
	}
	after := c.waitState(ctl, StateRunning)
	if after.Primary == before.Primary || after.Epoch != before.Epoch+1 {
		t.Errorf("was %+v, is %+v", before, after)
	}
	c.wantOnlyWritable(after.Primary)
	acks, errs := l.stop()
	for _, err := range errs {
		t.Error(err)
	}
	c.wantEverywhere(acks)
}

// When the old primary cannot be opened again at once, clients stay held until it is.
func TestLostAnswerToReopen(t *testing.T) { onPairs(t, testLostAnswerToReopen) }

func testLostAnswerToReopen(t *testing.T, c *cluster) {
	c.limits.Recheck = 50 * time.Millisecond
	ctl, _ := c.start(nil)
	before := c.waitState(ctl, StateRunning)
	fired := map[string]bool{}
	h := func(p string) error {
		if (p == "wait:before" || p == "reopen:before") && !fired[p] {
			fired[p] = true
			return errors.New("injected")
		}
		return nil
	}
	c.hook.Store(&h)
	_, err := ctl.Switchover(context.Background(), Request{})
	var aborted *AbortedError
	if !errors.As(err, &aborted) || !aborted.Unresolved || aborted.Phase != "wait" {
		t.Fatalf("got %v, want an unresolved abort in step wait", err)
	}
	if !c.gate.isHeld() {
		t.Error("clients go on although the primary is closed")
	}
	after := c.waitState(ctl, StateRunning)
	if after.Primary != before.Primary || c.gate.isHeld() {
		t.Errorf("was %+v, is %+v", before, after)
	}
	c.wantOnlyWritable(before.Primary)
}
