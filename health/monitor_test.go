package health

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// start runs the monitor until the test ends.
func (r rig) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (r rig) server(t *testing.T, name string) topology.Observation {
	t.Helper()
	o, ok := r.Snapshot().Find(name)
	if !ok {
		t.Fatalf("no server %s", name)
	}
	return o
}

var primaryA = topology.Primary{Instance: topology.Instance{Name: "a", Address: "a:3306"}, Epoch: 1}

func TestProbesKeepTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		if o := r.server(t, "a"); o.Class != topology.ClassUnknown {
			t.Errorf("before Run: %s", o.Class)
		}
		r.a.took = 30 * time.Millisecond
		r.start(t)
		time.Sleep(4*time.Second + time.Millisecond)
		if n := r.a.count(); n != 17 {
			t.Errorf("%d probes in 4 s, want 17", n)
		}
		o := r.server(t, "a")
		if o.Class != topology.ClassOK || o.Latency != 30*time.Millisecond || o.Facts.ServerID != 10 || o.MeasuredLag >= 0 {
			t.Errorf("%+v", o)
		}
		time.Sleep(2 * time.Second)
		r.a.set(func(f *fakeProber) {
			if f.refreshes != 1 {
				t.Errorf("%d new connections in 6 s, want 1", f.refreshes)
			}
		})
	})
}

func TestHangingServerDoesNotDelayTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.start(t)
		time.Sleep(time.Second)
		r.a.set(func(f *fakeProber) { f.took = time.Hour })
		time.Sleep(2 * time.Second)
		a, b := r.server(t, "a"), r.server(t, "b")
		if a.Class != topology.ClassTimeout || a.Facts.ServerID != 10 || a.FactsAt.Equal(a.At) {
			t.Errorf("%+v", a)
		}
		if b.Class != topology.ClassOK || time.Since(b.At) > 250*time.Millisecond {
			t.Errorf("%+v", b)
		}
	})
}

func TestProbeNowIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.a.took = 100 * time.Millisecond
		r.start(t)
		time.Sleep(50 * time.Millisecond) // in the middle of the first probe
		begun := time.Now()
		if err := r.ProbeNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Snapshot().Servers {
			if o.At.Before(begun) {
				t.Errorf("%s was probed before the call", o.Instance.Name)
			}
		}
		r.a.set(func(f *fakeProber) { f.took = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := r.ProbeNow(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestProbeNowAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if err := r.ProbeNow(t.Context()); err == nil {
			t.Error("no error after the end")
		}
		if !r.a.closed || !r.b.closed {
			t.Error("connections were left open")
		}
		if err := r.Run(t.Context()); err == nil {
			t.Error("a second Run must fail")
		}
	})
}

func TestSubscribeLatestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		snapshots, cancel := r.Subscribe()
		r.start(t)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s := <-snapshots; s != r.Snapshot() {
			t.Error("a slow reader got an old snapshot")
		}
		cancel()
		time.Sleep(time.Second)
		select {
		case <-snapshots:
			t.Error("delivery after cancel")
		default:
		}
	})
}

func TestReceiveAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.start(t)
		r.SetPrimary(primaryA)
		heartbeat := func() {
			r.b.set(func(f *fakeProber) {
				facts := f.answer.facts
				l := facts.Links[0]
				l.Heartbeats++
				facts.Links = []topology.Link{l}
				f.answer.facts = facts
			})
		}
		for range 4 {
			time.Sleep(time.Second)
			heartbeat()
		}
		time.Sleep(500 * time.Millisecond)
		if age := r.server(t, "b").ReceiveAge; age > 500*time.Millisecond {
			t.Errorf("age %s while heartbeats arrive", age)
		}
		time.Sleep(3500 * time.Millisecond)
		b := r.server(t, "b")
		if b.ReceiveAge < 3500*time.Millisecond || !slices.ContainsFunc(b.Problems, func(p string) bool { return strings.Contains(p, "say Yes, but") }) {
			t.Errorf("age %s, problems %q", b.ReceiveAge, b.Problems)
		}
		if age := r.server(t, "a").ReceiveAge; age != 0 {
			t.Errorf("age %s of a server without link", age)
		}
	})
}

func TestHeartbeatGoesToThePrimaryOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		r.start(t)
		time.Sleep(3100 * time.Millisecond)
		if n, _ := r.wa.state(); n != 0 {
			t.Errorf("%d writes without a primary", n)
		}
		r.SetPrimary(primaryA)
		time.Sleep(3 * time.Second)
		a, _ := r.wa.state()
		b, _ := r.wb.state()
		if a != 3 || b != 0 {
			t.Errorf("%d writes on a, %d on b, want 3 and 0", a, b)
		}
		r.wa.mu.Lock()
		r.wa.took = 800 * time.Millisecond
		r.wa.mu.Unlock()
		time.Sleep(time.Second) // now a write is under way
		if _, active := r.wa.state(); active != 1 {
			t.Fatal("no write under way")
		}
		r.SetPrimary(topology.Primary{})
		if _, active := r.wa.state(); active != 0 {
			t.Error("a write was in flight when SetPrimary returned")
		}
		before, _ := r.wa.state()
		time.Sleep(3 * time.Second)
		if n, _ := r.wa.state(); n != before {
			t.Error("writes after the primary was taken away")
		}
	})
}

func TestNoHeartbeatOnAReadOnlyPrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		r.a.answer.facts.ReadOnly = true
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(3 * time.Second)
		if n, _ := r.wa.state(); n != 0 {
			t.Errorf("%d writes on a read-only server", n)
		}
		if p := r.server(t, "a").Problems; !slices.Contains(p, "It is the primary but read-only.") {
			t.Errorf("problems %q", p)
		}
	})
}

func TestWriteStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(true)
		r.start(t)
		r.SetPrimary(primaryA)
		time.Sleep(2100 * time.Millisecond)
		r.wa.mu.Lock()
		r.wa.took = time.Hour
		r.wa.mu.Unlock()
		time.Sleep(7 * time.Second)
		if o := r.server(t, "a"); o.Class != topology.ClassWriteStuck || !strings.Contains(o.Err, "heartbeat") || !o.Alive() {
			t.Errorf("%s: %s", o.Class, o.Err)
		}
		r.wa.mu.Lock()
		r.wa.took = 0
		r.wa.mu.Unlock()
		time.Sleep(3 * time.Second)
		if o := r.server(t, "a"); o.Class != topology.ClassOK {
			t.Errorf("%s: %s", o.Class, o.Err)
		}
		r.wa.mu.Lock()
		r.wa.err = serverError(1146, "Table 'onewriter.heartbeat' doesn't exist")
		r.wa.mu.Unlock()
		time.Sleep(5 * time.Second)
		o := r.server(t, "a")
		if o.Class != topology.ClassOK || len(o.Problems) != 1 || !strings.Contains(o.Problems[0], "heartbeat row") {
			t.Errorf("%s: %q", o.Class, o.Problems)
		}
	})
}

func TestNewConnectionsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(false)
		r.a.refreshed = serverError(1040, "Too many connections")
		r.start(t)
		time.Sleep(6 * time.Second)
		o := r.server(t, "a")
		if o.Class != topology.ClassOK || len(o.Problems) != 1 || !strings.Contains(o.Problems[0], "new one does not") {
			t.Errorf("%s: %q", o.Class, o.Problems)
		}
	})
}

func TestProblemsOfAPair(t *testing.T) {
	pos := func(s string) gtid.Position {
		p, err := gtid.ParseMariaDB(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	tests := []struct {
		name   string
		change func(a, b *report)
		server string
		want   string // "" for no problem at all on both
	}{
		{"healthy", func(_, _ *report) {}, "b", ""},
		{"standby behind", func(a, _ *report) { a.facts.Position = pos("0-10-200") }, "b", ""},
		{"writable standby", func(_, b *report) { b.facts.ReadOnly = false }, "b", "It is a standby but read_only is off: applications can write to it."},
		{"same id", func(_, b *report) { b.facts.ServerID = 10 }, "b", "It has the same server_id 10 as a: each would skip what the other wrote."},
		{"same uuid", func(a, b *report) { a.facts.ServerUUID, b.facts.ServerUUID = "u", "u" }, "a", "It has the same identity u as b: one is a copy of the other."},
		{"gone apart", func(_, b *report) { b.facts.Position = pos("0-10-100,0-20-101") }, "b", "It has transactions that the primary a lacks: the histories have gone apart."},
		{"no link", func(_, b *report) { b.facts.Links = nil }, "b", "It is a standby but replicates from nobody."},
		{"other source", func(_, b *report) { b.facts.Links[0].SourceServerID = 77 }, "b", "It does not replicate from the primary a."},
		{"receiver", func(_, b *report) {
			b.facts.Links[0].IO, b.facts.Links[0].IOErrno, b.facts.Links[0].IOError = topology.ThreadConnecting, 2003, "error connecting to master. "
		}, "b", "It receives nothing from a:3306 (IO thread: Connecting): error 2003, error connecting to master."},
		{"applier", func(_, b *report) { b.facts.Links[0].SQL = topology.ThreadNo }, "b", "It does not apply what it received from a:3306 (SQL thread: No)."},
		{"refused", func(_, b *report) { b.err = dialError(syscall.ECONNREFUSED); b.facts = topology.Facts{} }, "b", "The server refuses connections: connect: dial tcp: connect: connection refused."},
		{"no binary log", func(_, b *report) { b.facts.BinaryLog = false }, "b", "Its binary log is off (log_bin): nothing can replicate from it."},
		{"half closed", func(_, b *report) { b.facts.ReadOnly, b.facts.SuperReadOnly = false, true }, "b", "super_read_only is set and read_only is not: a statement that closes the server is waiting."},
		{"clock", func(_, b *report) { b.skew = -3 * time.Second }, "b", "Its clock differs from ours by -3s."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(false)
				tt.change(&r.a.answer, &r.b.answer)
				r.start(t)
				r.SetPrimary(primaryA)
				time.Sleep(time.Second + time.Millisecond)
				got := r.server(t, tt.server).Problems
				if tt.want == "" {
					got = append(got, r.server(t, "a").Problems...)
					if len(got) > 0 {
						t.Errorf("problems %q", got)
					}
					return
				}
				if !slices.Contains(got, tt.want) {
					t.Errorf("problems %q, want %q", got, tt.want)
				}
			})
		})
	}
}
