package health

import (
	"context"
	"database/sql"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

func openDB(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := flavor.Open(address, flavor.Login{User: "onewriter", Password: "onewriter-secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// listen serves each connection with serve until the test ends and gives the address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = c.Close() }()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// fakeProber answers as its fields say, under synctest's clock.
type fakeProber struct {
	mu        sync.Mutex
	took      time.Duration
	answer    report
	refreshed error
	probes    []time.Time
	refreshes int
	closed    bool
}

func (f *fakeProber) set(change func(*fakeProber)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeProber) probe(ctx context.Context, _ order) report {
	f.mu.Lock()
	f.probes = append(f.probes, time.Now())
	took, answer := f.took, f.answer
	f.mu.Unlock()
	select {
	case <-time.After(took):
		return answer
	case <-ctx.Done():
		return report{err: ctx.Err()}
	}
}

func (f *fakeProber) refresh(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refreshes++
	return f.refreshed
}

func (f *fakeProber) close() { f.set(func(f *fakeProber) { f.closed = true }) }

func (f *fakeProber) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.probes)
}

// fakeWriter is a beatWriter.
type fakeWriter struct {
	mu     sync.Mutex
	took   time.Duration
	err    error
	beats  []uint64
	active int
}

func (f *fakeWriter) write(ctx context.Context, _ uint32, beat uint64) error {
	f.mu.Lock()
	f.beats = append(f.beats, beat)
	f.active++
	took, err := f.took, f.err
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.active--
		f.mu.Unlock()
	}()
	select {
	case <-time.After(took):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeWriter) close() {}

func (f *fakeWriter) state() (beats, active int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.beats), f.active
}

// primaryFacts and standbyFacts are of a healthy MariaDB pair a (10) and b (20).
func primaryFacts() topology.Facts {
	pos, _ := gtid.ParseMariaDB("0-10-100")
	return topology.Facts{Flavor: "mariadb", Version: "10.11.0-MariaDB", ServerID: 10, Position: pos, GTID: true, BinaryLog: true, LogsUpdates: true}
}

func standbyFacts() topology.Facts {
	f := primaryFacts()
	f.ServerID, f.ReadOnly = 20, true
	f.Links = []topology.Link{{
		Source: "a:3306", SourceServerID: 10, IO: topology.ThreadYes, SQL: topology.ThreadYes, UsesGTID: true,
		Received: f.Position, Applied: f.Position, Heartbeats: 1, HeartbeatPeriod: time.Second,
	}}
	return f
}

// rig is a monitor of two fake servers, a and b.
type rig struct {
	*Monitor
	a, b   *fakeProber
	wa, wb *fakeWriter
}

func newRig(heartbeat bool) rig {
	r := rig{a: &fakeProber{}, b: &fakeProber{}, wa: &fakeWriter{}, wb: &fakeWriter{}}
	r.a.answer.facts, r.b.answer.facts = primaryFacts(), standbyFacts()
	c := Config{
		Cluster: "c", Writer: "w", Heartbeat: heartbeat, Interval: DefaultInterval, Timeout: DefaultTimeout, Logger: zerolog.Nop(),
		Servers: []topology.Instance{{Name: "a", Address: "a:3306"}, {Name: "b", Address: "b:3306"}},
	}
	r.Monitor = newMonitor(c, []prober{r.a, r.b}, []beatWriter{r.wa, r.wb})
	return r
}
