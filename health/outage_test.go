package health

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// refuse makes every probe of f fail as those of a killed server do.
func refuse(f *fakeProber) {
	f.set(func(f *fakeProber) { f.answer = report{err: dialError(syscall.ECONNREFUSED)} })
}

func TestADeathIsConfirmedQuickly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(2 * time.Second)
		refuse(r.a)
		died := time.Now()
		time.Sleep(310 * time.Millisecond)
		a, b := r.server(t, "a"), r.server(t, "b")
		if a.Class != topology.ClassRefused || a.BadProbes < 2 || a.At.Sub(a.BadSince) < 50*time.Millisecond || a.BadSince.Before(died) {
			t.Errorf("a: %s, %d probes, the first at %s, the last at %s", a.Class, a.BadProbes, a.BadSince.Sub(died), a.At.Sub(died))
		}
		if !b.FactsAt.After(a.BadSince) || time.Since(b.At) > hurryGap {
			t.Errorf("b was asked last at %s, a was bad at %s", b.At.Sub(died), a.BadSince.Sub(died))
		}
		time.Sleep(10 * time.Second)
		// A probe each 50 ms for 5 s, then each 250 ms for as long.
		before := [2]int{r.a.count(), r.b.count()}
		time.Sleep(5 * time.Second)
		if n := r.a.count() - before[0]; n > 21 {
			t.Errorf("%d probes of a in 5 s, long after its death", n)
		}
		if n := r.b.count() - before[1]; n > 21 {
			t.Errorf("%d probes of b in 5 s, long after a's death", n)
		}
		if n := r.a.count(); n > 8+100+42+3 {
			t.Errorf("%d probes of a in all", n)
		}
		r.a.set(func(f *fakeProber) { f.answer = report{facts: primaryFacts()} })
		time.Sleep(300 * time.Millisecond)
		if a := r.server(t, "a"); a.BadProbes != 0 || !a.BadSince.IsZero() {
			t.Errorf("alive again, but bad since %s with %d probes", a.BadSince, a.BadProbes)
		}
	})
}

func TestAHangIsNotAskedMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(2 * time.Second)
		r.a.set(func(f *fakeProber) { f.took = time.Hour })
		a, b := r.a.count(), r.b.count()
		time.Sleep(10 * time.Second)
		if n := r.a.count() - a; n > 11 {
			t.Errorf("%d probes of a hanging server in 10 s", n)
		}
		if n := r.b.count() - b; n < 60 || n > 130 {
			t.Errorf("%d probes of its standby in 10 s, want 20 a second for 4 s and 4 a second for 6 s", n)
		}
	})
}

func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.start(t)
		r.Kick("b") // before there was any probe
		r.Kick("nobody")
		time.Sleep(100 * time.Millisecond) // the last probe is 100 ms old
		synctest.Wait()
		n := r.a.count()
		r.Kick("a")
		synctest.Wait()
		if got := r.a.count() - n; got != 1 {
			t.Errorf("%d probes at once after a kick, want 1", got)
		}
		n = r.a.count()
		for range 1000 {
			r.Kick("a")
			time.Sleep(time.Millisecond)
		}
		if got := r.a.count() - n; got < 15 || got > 21 {
			t.Errorf("%d probes in a second of kicks, want 20", got)
		}
	})
}

func TestClientsAreHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		var lost atomic.Uint64
		var replied atomic.Pointer[time.Time]
		r.cfg.DataPath = func(server string) (time.Time, uint64) {
			if at := replied.Load(); server == "a" && at != nil {
				return *at, lost.Load()
			}
			return time.Time{}, 0
		}
		lost.Store(3)
		now := time.Now()
		replied.Store(&now)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(time.Second)
		if a := r.server(t, "a"); a.Lost != 0 || !a.Replied.Equal(now) {
			t.Errorf("alive: %d lost, replied %s", a.Lost, a.Replied)
		}
		lost.Store(10)
		refuse(r.a)
		time.Sleep(300 * time.Millisecond)
		last := time.Now()
		replied.Store(&last)
		time.Sleep(300 * time.Millisecond)
		if a := r.server(t, "a"); a.Lost != 7 || !a.Replied.Equal(last) || !a.Replied.After(a.BadSince) {
			t.Errorf("refused: %d lost, replied %s", a.Lost, a.Replied)
		}
		if b := r.server(t, "b"); b.Lost != 0 || !b.Replied.IsZero() {
			t.Errorf("b: %d lost, replied %s", b.Lost, b.Replied)
		}
	})
}

func TestClosedPrimaryIsReadOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(time.Second)
		since := r.server(t, "a").WritableSince
		if since.IsZero() || !r.server(t, "b").WritableSince.IsZero() {
			t.Errorf("writable since %s and %s", since, r.server(t, "b").WritableSince)
		}
		r.a.set(func(f *fakeProber) { f.answer.facts.ReadOnly = true })
		time.Sleep(300 * time.Millisecond)
		if a := r.server(t, "a"); a.Class != topology.ClassReadOnly || !a.Alive() || !a.WritableSince.IsZero() {
			t.Errorf("%s, writable since %s", a.Class, a.WritableSince)
		}
		r.SetPrimary(topology.Primary{})
		if a := r.server(t, "a"); a.Class != topology.ClassOK {
			t.Errorf("a server that nobody has made primary is %s", a.Class)
		}
	})
}

func TestReceivedAtNeedsAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.start(t)
		time.Sleep(time.Second)
		r.SetPrimary(primaryA)
		time.Sleep(time.Second)
		if at := r.server(t, "b").ReceivedAt; !at.IsZero() {
			t.Errorf("received at %s although nothing has changed", at)
		}
		r.b.set(func(f *fakeProber) {
			l := f.answer.facts.Links[0]
			l.Heartbeats++
			f.answer.facts.Links = []topology.Link{l}
		})
		time.Sleep(300 * time.Millisecond)
		b := r.server(t, "b")
		if at := b.ReceivedAt; at.IsZero() || time.Since(at) > 300*time.Millisecond {
			t.Errorf("received at %s", at)
		}
		if gap := b.ReceivedAt.Sub(b.ReceivedAfter); b.ReceivedAfter.IsZero() || gap <= 0 || gap > 300*time.Millisecond {
			t.Errorf("received after %s, at %s", b.ReceivedAfter, b.ReceivedAt)
		}
	})
}

// TestARestartIsNoReceipt: a server that restarts counts heartbeats anew and forgets what it has received and not applied.
// And whatever is received while nobody looks may have come any time since the look before.
func TestARestartIsNoReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		link := func(beats, offset uint64) {
			r.b.set(func(f *fakeProber) {
				l := f.answer.facts.Links[0]
				l.Heartbeats, l.ReceivedFile = beats, gtid.FilePos("binlog.000001", offset)
				f.answer.facts.Links = []topology.Link{l}
			})
		}
		link(7, 1000)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(time.Second)
		link(0, 800)
		time.Sleep(time.Second)
		if b := r.server(t, "b"); !b.ReceivedAt.IsZero() || !b.ReceivedAfter.IsZero() {
			t.Errorf("after a restart: received after %s, at %s", b.ReceivedAfter, b.ReceivedAt)
		}
		var was report
		r.b.set(func(f *fakeProber) { was, f.answer = f.answer, report{err: errors.New("gone")} })
		time.Sleep(time.Second)
		down := time.Now()
		time.Sleep(10 * time.Second)
		r.b.set(func(f *fakeProber) { f.answer = was })
		link(0, 1200)
		time.Sleep(time.Second)
		if b := r.server(t, "b"); b.ReceivedAfter.IsZero() || b.ReceivedAfter.After(down) {
			t.Errorf("received after %s, while nobody looked since %s", b.ReceivedAfter, down)
		}
	})
}

// TestSetPrimaryDoesNotWaitForAHungServer: the heartbeat write hangs with the server.
func TestSetPrimaryDoesNotWaitForAHungServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(2100 * time.Millisecond)
		r.wa.mu.Lock()
		r.wa.took = time.Hour
		r.wa.mu.Unlock()
		time.Sleep(800 * time.Millisecond)
		r.a.set(func(f *fakeProber) { f.took = time.Hour })
		time.Sleep(300 * time.Millisecond) // a write is under way, and the probe beside it
		if _, active := r.wa.state(); active != 1 {
			t.Fatal("no write under way")
		}
		time.Sleep(time.Second)
		if a := r.server(t, "a"); a.Class != topology.ClassTimeout {
			t.Fatalf("a is %s", a.Class)
		}
		begun := time.Now()
		r.SetPrimary(topology.Primary{})
		if took := time.Since(begun); took > 0 {
			t.Errorf("it waited for %s", took)
		}
		if _, active := r.wa.state(); active != 0 {
			t.Error("a write was in flight when SetPrimary returned")
		}
		writes, _ := r.wa.state()
		time.Sleep(5 * time.Second)
		if n, _ := r.wa.state(); n != writes {
			t.Errorf("%d writes after the primary was taken away", n-writes)
		}
	})
}

// TestAWriteEndsWhenItsServerIsBad: nobody has to call SetPrimary for it.
func TestAWriteEndsWhenItsServerIsBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(1900 * time.Millisecond)
		r.wa.mu.Lock()
		r.wa.took = time.Hour
		r.wa.mu.Unlock()
		time.Sleep(200 * time.Millisecond)
		if _, active := r.wa.state(); active != 1 {
			t.Fatal("no write under way")
		}
		refuse(r.a)
		time.Sleep(300 * time.Millisecond)
		if _, active := r.wa.state(); active != 0 {
			t.Error("the write goes on although the server refuses connections")
		}
	})
}
