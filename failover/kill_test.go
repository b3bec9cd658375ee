package failover

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// killAt runs a switchover that stops dead at the point, as if the process had been killed there: nothing is undone,
// and its connections to the servers are gone.
func (c *cluster) killAt(point string) {
	c.t.Helper()
	c.killDuring(point, func(ctl *Controller) {
		go func() {
			if _, err := ctl.Switchover(context.Background(), Request{}); err == nil {
				c.t.Errorf("%s: the switchover succeeded", point)
			}
		}()
	})
}

// killDuring is killAt for whatever begin sets off.
func (c *cluster) killDuring(point string, begin func(*Controller)) {
	c.t.Helper()
	c.limits.Stop = 100 * time.Millisecond
	reached, released := make(chan struct{}), make(chan struct{})
	c.hook.Store(nil)
	ctl, stop := c.start(nil)
	c.waitState(ctl, StateRunning)
	h := func(p string) error {
		if p == point {
			close(reached)
			<-released
			return errors.New("killed")
		}
		return nil
	}
	c.hook.Store(&h)
	begin(ctl)
	select {
	case <-reached:
	case <-time.After(2 * time.Minute):
		c.t.Fatalf("%s was not reached", point)
	}
	done := make(chan struct{})
	go func() { stop(); close(done) }()
	time.Sleep(200 * time.Millisecond)
	close(released)
	<-done
	c.hook.Store(nil)
	// The data path of the next process knows nothing.
	c.gate.Throttle(0)
	c.gate.Publish(topology.Primary{})
	c.gate.Resume()
}

// Whatever the moment of the kill, the next process finds the one server that may be written to, opens it if needed,
// and the other one stays closed.
func TestKillAtEveryStep(t *testing.T) { onPairs(t, testKillAtEveryStep) }

func testKillAtEveryStep(t *testing.T, c *cluster) {
	ctl, stop := c.start(nil)
	s := c.waitState(ctl, StateRunning)
	c.createTable(s.Primary)
	l := c.startLoad(4, time.Millisecond)
	stop()
	for _, step := range []stepName{stepMark, stepThrottle, stepPause, stepDrain, stepFence, stepTarget, stepWait, stepVerify, stepPromote, stepEpoch, stepSave, stepPublish, stepResume} {
		for _, when := range []string{"before", "after"} {
			point := string(step) + ":" + when
			before := s
			c.killAt(point)
			ctl, stop := c.start(nil)
			s = c.waitState(ctl, StateRunning)
			moved := s.Primary != before.Primary
			if want := pastPromotion(step, when); moved != want {
				t.Errorf("killed at %s: primary was %s, is %s", point, before.Primary, s.Primary)
			}
			if moved != (s.Epoch > before.Epoch) {
				t.Errorf("killed at %s: epoch was %d, is %d", point, before.Epoch, s.Epoch)
			}
			c.wantOnlyWritable(s.Primary)
			if !l.goesOn() {
				t.Errorf("killed at %s: nothing is written any more", point)
			}
			stop()
		}
	}
	acks, errs := l.stop()
	for _, err := range errs {
		t.Error(err)
	}
	c.wantEverywhere(acks)
}

func pastPromotion(step stepName, when string) bool {
	switch step {
	case stepPromote:
		return when == "after"
	case stepEpoch, stepSave, stepPublish, stepResume:
		return true
	default:
		return false
	}
}
