package proxy

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/wiretest"
)

// lostNames collects what OnLost is told.
type lostNames struct {
	mu    sync.Mutex
	names []string
}

func (l *lostNames) note(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = append(l.names, name)
}

func (l *lostNames) count(name string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, got := range l.names {
		if got == name {
			n++
		}
	}
	return n
}

func TestLastReply(t *testing.T) {
	bed := newTestbed(t, nil)
	if at, lost := bed.cluster.LastReply("a"); !at.IsZero() || lost != 0 {
		t.Errorf("before any session: %s, %d lost", at, lost)
	}
	c := bed.client()
	begun := time.Now()
	c.must("DO 1")
	first, _ := bed.cluster.LastReply("a")
	if first.Before(begun) || first.After(time.Now()) {
		t.Errorf("replied at %s, asked at %s", first, begun)
	}
	_ = c.conn.Close()
	bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
	if at, _ := bed.cluster.LastReply("a"); at.Before(first) {
		t.Errorf("after the session: %s, was %s", at, first)
	}
	for _, name := range []string{"b", "nobody"} {
		if at, lost := bed.cluster.LastReply(name); !at.IsZero() || lost != 0 {
			t.Errorf("%s: %s, %d lost", name, at, lost)
		}
	}
}

// TestAnUnansweredCommandIsNoReply: neither what a server does not answer nor what the proxy answers for it counts.
func TestAnUnansweredCommandIsNoReply(t *testing.T) {
	bed := newTestbed(t, nil)
	c := bed.client()
	c.must("DO 1")
	before, _ := bed.cluster.LastReply("a")
	bed.a.On("INSERT 1", wiretest.Die)
	if err := c.exec("INSERT 1"); err == nil {
		t.Fatal("no error")
	}
	if at, lost := bed.cluster.LastReply("a"); !at.Equal(before) || lost != 1 {
		t.Errorf("replied at %s, was %s; %d lost, want 1", at, before, lost)
	}
}

func TestOnLost(t *testing.T) {
	var told lostNames
	bed := newTestbed(t, func(c *Config) { c.OnLost = told.note })
	idle, busy := bed.client(), bed.client()
	idle.must("DO 1")
	busy.must("BEGIN")
	bed.a.Cut()
	time.Sleep(peekAfter + 20*time.Millisecond)
	if err := busy.exec("INSERT 1"); err == nil {
		t.Fatal("a transaction survived its connection")
	}
	idle.wantAt("a")
	if _, lost := bed.cluster.LastReply("a"); lost != 2 || told.count("a") != 2 || told.count("b") != 0 {
		t.Errorf("%d lost, told %q, want a twice", lost, told.names)
	}
}

// TestClosedOnPurposeIsNotLost: what the control path or a client ends says nothing about the server.
func TestClosedOnPurposeIsNotLost(t *testing.T) {
	var told lostNames
	bed := newTestbed(t, func(c *Config) { c.OnLost = told.note })
	moved, open, gone := bed.client(), bed.client(), bed.client()
	moved.must("DO 1")
	open.must("BEGIN")
	gone.must("DO 1")
	_ = gone.conn.Close()
	bed.cluster.CloseOpen(errors.New("the primary role is being moved"))
	if err := open.exec("INSERT 1"); err == nil {
		t.Fatal("the transaction was not ended")
	}
	bed.move()
	moved.wantAt("b")
	for _, name := range []string{"a", "b"} {
		if _, lost := bed.cluster.LastReply(name); lost != 0 || told.count(name) != 0 {
			t.Errorf("%s: %d lost, told %d times", name, lost, told.count(name))
		}
	}
	if at, _ := bed.cluster.LastReply("b"); at.IsZero() {
		t.Error("b has answered")
	}
}

// TestUnreachableServerIsTold: a server that cannot be connected to is worth a probe.
func TestUnreachableServerIsTold(t *testing.T) {
	var told lostNames
	bed := newTestbed(t, func(c *Config) { c.OnLost, c.HoldTimeout = told.note, 300*time.Millisecond })
	c := bed.client()
	c.must("DO 1")
	bed.a.Close()
	if err := c.exec("DO 2"); err == nil {
		t.Fatal("no error without a server")
	}
	if told.count("a") == 0 {
		t.Error("nobody was told")
	}
}

func TestAnsweringCostsNoMemory(t *testing.T) {
	bed := newTestbed(t, nil)
	s := &clientSession{cluster: bed.cluster}
	if n := testing.AllocsPerRun(100, s.answered); n != 0 {
		t.Errorf("%.1f allocations per answer", n)
	}
}
