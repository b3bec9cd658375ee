package proxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func newGate() *Gate {
	g := new(Gate)
	g.init()
	return g
}

func TestGateIsOpenAtFirst(t *testing.T) {
	g := newGate()
	if g.Holding() || g.Wait(t.Context(), time.Hour) != nil || g.Resume() != 0 {
		t.Error("not open")
	}
}

func TestGateHoldsUntilResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.Hold("test")
		waits := make(chan time.Duration, 2)
		began := time.Now()
		for range 2 {
			go func() {
				if err := g.Wait(t.Context(), time.Minute); err != nil {
					t.Error(err)
				}
				waits <- time.Since(began)
			}()
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if g.Waiting() != 2 {
			t.Errorf("%d wait", g.Waiting())
		}
		g.Hold("again") // changes nothing
		if longest := g.Resume(); longest != 2*time.Second {
			t.Errorf("longest wait %v", longest)
		}
		for range 2 {
			if d := <-waits; d != 2*time.Second {
				t.Errorf("waited %v", d)
			}
		}
		synctest.Wait()
		if g.Waiting() != 0 || g.Holding() {
			t.Error("still holding")
		}
		g.Hold("next")
		if longest := g.Resume(); longest != 0 {
			t.Errorf("the next hold begins with %v", longest)
		}
	})
}

func TestGateTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.Hold("test")
		began := time.Now()
		if err := g.Wait(t.Context(), 3*time.Second); !errors.Is(err, ErrHoldTimeout) || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(time.Second)
		if longest := g.Resume(); longest != 3*time.Second {
			t.Errorf("longest %v", longest)
		}
	})
}

func TestGateGivesTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.Hold("test")
		cause := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		go cancel(cause)
		if err := g.Wait(ctx, time.Hour); !errors.Is(err, cause) {
			t.Error(err)
		}
	})
}

func TestGateDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		began := time.Now()
		g.Delay(t.Context())
		g.Throttle(time.Minute)
		g.Throttle(time.Second)
		g.Delay(t.Context())
		if time.Since(began) != time.Second {
			t.Errorf("delayed by %v", time.Since(began))
		}
		g.Throttle(time.Minute)
		time.AfterFunc(time.Second, func() { g.Throttle(2 * time.Minute) })
		time.AfterFunc(2*time.Second, func() { g.Throttle(0) })
		g.Delay(t.Context())
		g.Throttle(0)
		g.Delay(t.Context())
		if time.Since(began) != 3*time.Second {
			t.Errorf("delayed by %v, after the throttle had ended", time.Since(began)-time.Second)
		}
	})
}

func TestGateLeft(t *testing.T) {
	g := newGate()
	g.Left()
	if len(g.left) != 0 {
		t.Error("signalled while open")
	}
	g.Hold("test")
	g.Left()
	g.Left()
	if len(g.left) != 1 {
		t.Error("not signalled")
	}
}
