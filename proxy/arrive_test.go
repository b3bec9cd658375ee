package proxy

import (
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
)

// onItsWay lets a statement begin that waits for a server that accepts the connection and says nothing yet.
func (b *testbed) onItsWay(begin func()) {
	b.t.Helper()
	b.a.Cut()
	time.Sleep(peekAfter + 20*time.Millisecond)
	b.a.Mute(true)
	begin()
	b.eventually("the session is on its way", func() bool { return b.a.Conns() == 1 })
}

func TestRoleMovesWhileASessionIsOnItsWay(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("DO 1")
	done := make(chan error, 1)
	bed.onItsWay(func() { go func() { done <- c.exec("INSERT 1") }() })
	bed.move()
	bed.a.Mute(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if bed.a.Heard("INSERT 1") != 0 || bed.b.Heard("INSERT 1") != 1 {
		t.Error("the statement did not go to the primary alone")
	}
}

func TestHoldWhileASessionIsOnItsWay(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("DO 1")
	done := make(chan error, 1)
	bed.onItsWay(func() { go func() { done <- c.exec("INSERT 1") }() })
	bed.cluster.Hold("test")
	bed.a.Mute(false)
	bed.eventually("the statement waits", func() bool { return bed.cluster.Held() == 1 })
	if bed.a.Heard("INSERT 1") != 0 {
		t.Error("a statement was begun after the hold")
	}
	bed.cluster.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestClientLeavesWhileItsSessionIsOnItsWay(t *testing.T) {
	bed := newTestbed(t, nil)
	raw := bed.rawLogin()
	bed.onItsWay(func() {
		if _, err := raw.Write(wire.AppendPacket(nil, 0, append([]byte{wire.ComQuery}, "INSERT 1"...))); err != nil {
			t.Fatal(err)
		}
	})
	_ = raw.Close()
	time.Sleep(20 * time.Millisecond)
	bed.a.Mute(false)
	bed.eventually("the session ends", func() bool { return bed.cluster.Count() == 0 })
	if bed.a.Heard("INSERT 1") != 0 {
		t.Error("a statement was begun that nobody waits for")
	}
}
