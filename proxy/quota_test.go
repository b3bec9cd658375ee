package proxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestQuotaLetsInInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota{limit: 1}
		if !q.try() || q.try() {
			t.Fatal("one place is one place")
		}
		order := make(chan int, 3)
		for i := range 3 {
			go func() {
				if err := q.take(t.Context(), 3); err != nil {
					t.Error(err)
				}
				order <- i
			}()
			synctest.Wait() // they come one after the other
		}
		if err := q.take(t.Context(), 3); !errors.Is(err, errQueueFull) {
			t.Errorf("a fourth one waits: %v", err)
		}
		if held, waiting := q.count(); held != 1 || waiting != 3 {
			t.Errorf("%d held, %d waiting", held, waiting)
		}
		for want := range 3 {
			q.free()
			if got := <-order; got != want {
				t.Errorf("%d came in before %d", got, want)
			}
		}
		q.free()
		if held, waiting := q.count(); held != 0 || waiting != 0 {
			t.Errorf("%d held, %d waiting in the end", held, waiting)
		}
	})
}

func TestQuotaForgetsWhoGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota{limit: 1}
		q.try()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errQueueTimeout)
		defer cancel()
		if err := q.take(ctx, noQueueLimit); !errors.Is(err, errQueueTimeout) {
			t.Errorf("got %v", err)
		}
		q.free()
		if held, waiting := q.count(); held != 0 || waiting != 0 {
			t.Errorf("%d held, %d waiting", held, waiting)
		}
	})
}

// A place that is given in the moment in which its taker gives up goes to the next one.
func TestQuotaLosesNoPlace(t *testing.T) {
	q := quota{limit: 2}
	const workers, rounds = 16, 200
	done := make(chan struct{})
	for range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range rounds {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%5)*10*time.Microsecond)
				if q.take(ctx, noQueueLimit) == nil {
					q.free()
				}
				cancel()
			}
		}()
	}
	for range workers {
		<-done
	}
	if held, waiting := q.count(); held != 0 || waiting != 0 {
		t.Errorf("%d held, %d waiting", held, waiting)
	}
}

func TestUserCounts(t *testing.T) {
	u := userCounts{limit: 2}
	if !u.take("a") || !u.take("a") || u.take("a") || !u.take("b") {
		t.Error("not two for each")
	}
	u.free("a")
	if !u.take("a") {
		t.Error("a place that was given back is lost")
	}
	for range 2 {
		u.free("a")
	}
	u.free("b")
	if len(u.n) != 0 {
		t.Errorf("left: %v", u.n)
	}
}
