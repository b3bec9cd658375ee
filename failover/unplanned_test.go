package failover

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/health"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// mortal is a cluster whose servers are killed: its own pair, watched by the real monitor.
type mortal struct {
	*cluster
	pair    *mysqltest.Pair
	monitor *health.Monitor
}

// newMortal starts a pair (or star) of its own.
func newMortal(t *testing.T, o mysqltest.PairOptions) *mortal {
	t.Helper()
	mysqltest.RequireFlavor(t, o.Flavor)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	pair, err := mysqltest.StartPair(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pair.Close() })
	m := &mortal{pair: pair}
	m.cluster = &cluster{t: t, admin: map[string]*sql.DB{}, app: map[string]*sql.DB{}, path: filepath.Join(t.TempDir(), "state.json"), limits: DefaultLimits(), user: mysqltest.ControlUser, password: mysqltest.ControlPassword}
	for i, s := range pair.Servers {
		name := string(rune('a' + i))
		m.servers = append(m.servers, topology.Instance{Name: name, Address: s.Addr()})
		m.admin[name] = openDB(t, mysqltest.ControlUser, mysqltest.ControlPassword, s.Addr(), "")
		m.app[name] = openDB(t, mysqltest.AppUser, mysqltest.AppPassword, s.Addr(), "app")
		m.app[name].SetMaxIdleConns(32)
	}
	m.policy = automatic()
	m.policy.Cooldown, m.policy.MaxPerHour = 0, 0
	m.gate = newGateway(m.app)
	m.watchServers()
	m.watch = m.monitor
	return m
}

// watchServers runs the real monitor until the test ends.
func (m *mortal) watchServers() {
	m.t.Helper()
	var err error
	m.monitor, err = health.New(health.Config{
		Cluster: "c", Servers: m.servers, Heartbeat: true, Writer: "test", Logger: zerolog.Nop(),
		Connect: func(i topology.Instance) (*sql.DB, error) { return openDB(m.t, m.user, m.password, i.Address, ""), nil },
	})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.monitor.Run(ctx) })
	m.t.Cleanup(func() { cancel(); wg.Wait() })
}

func (m *mortal) server(name string) *mysqltest.Server { return m.pair.Servers[name[0]-'a'] }

// onMortals runs a test on each flavour, with GTID and with file and position.
func onMortals(t *testing.T, run func(t *testing.T, m *mortal)) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		for _, filePos := range []bool{false, true} {
			name := f.String() + map[bool]string{false: "/gtid", true: "/file"}[filePos]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, newMortal(t, mysqltest.PairOptions{Flavor: f, FilePos: filePos}))
			})
		}
	}
}

// The primary is killed under load: the standby takes over by itself, clients go on, and what is lost is no more than
// what was said. The old primary comes back and follows again.
func TestFailoverAfterKill(t *testing.T) {
	onMortals(t, func(t *testing.T, m *mortal) {
		m.policy.MaxDataLoss = 1000 // on a busy machine the standby is behind
		ctl, _ := m.start(nil)
		m.waitState(ctl, StateRunning)
		m.createTable("a")
		l := m.startLoad(4, 2*time.Millisecond)
		time.Sleep(1500 * time.Millisecond)
		killed := time.Now()
		m.server("a").Kill9()
		m.waitFor("b is primary", func() bool { return ctl.Status().Primary == "b" })
		took := time.Since(killed)
		if !l.goesOn() {
			t.Error("nothing is written after the failover")
		}
		s := m.waitState(ctl, StateDegraded)
		if s.Epoch != 2 || s.State != StateDegraded || len(s.Away) != 1 || s.Away[0].Server != "a" {
			t.Errorf("after the failover: %+v", s)
		}
		t.Logf("took %s, %+v", took, s.Away)
		m.revive("a")
		lost := m.cure(ctl, "a")
		acks, _ := l.stop()
		m.wantOnlyWritable("b")
		m.wantEverywhereBut(acks, lost)
	})
}

// Whatever the moment at which Onewriter is killed in a failover, the next process ends it: one server is opened, the
// dead one is left behind, and when that comes back it follows.
func TestKillInFailover(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			testKillInFailover(t, newMortal(t, mysqltest.PairOptions{Flavor: f}))
		})
	}
}

func testKillInFailover(t *testing.T, m *mortal) {
	m.policy.MaxDataLoss = 1000
	ctl, stop := m.start(nil)
	m.waitState(ctl, StateRunning)
	m.createTable("a")
	l := m.startLoad(2, 5*time.Millisecond)
	stop()
	primary := "a"
	steps := []stepName{stepNote, stepCutoff, stepFenceOld, stepSilence, stepApply, stepDetach, stepPromote, stepEpoch, stepSave, stepPublish}
	if m.pair.Servers[0].Flavor == mysqltest.MySQL { // the simulation has them all
		steps = []stepName{stepSilence, stepDetach, stepPromote, stepEpoch}
	}
	for _, step := range steps {
		point := string(step) + ":after"
		m.killDuring(point, func(*Controller) { m.server(primary).Kill9() })
		ctl, stop := m.start(nil)
		other := map[string]string{"a": "b", "b": "a"}[primary]
		m.waitFor(point+": "+other+" is primary", func() bool { return ctl.Status().Primary == other })
		if s := m.waitState(ctl, StateDegraded); len(s.Away) != 1 || s.Away[0].Server != primary {
			t.Errorf("killed at %s: away are %+v", point, s.Away)
		}
		if !l.goesOn() {
			t.Errorf("killed at %s: nothing is written any more", point)
		}
		m.revive(primary)
		m.cure(ctl, primary)
		m.wantOnlyWritable(other)
		stop()
		primary = other
	}
	l.stop()
	m.wantSameRows()
}

// revive starts a dead server again, read-only as it should.
func (m *mortal) revive(name string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.server(name).RestartWith(ctx, map[string]string{"read-only": "1"}); err != nil {
		m.t.Fatal(err)
	}
}

// Three servers: one that has received less does not take over, and follows the one that does.
func TestFailoverInStar(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			testFailoverInStar(t, newMortal(t, mysqltest.PairOptions{Flavor: f, Standbys: 2}))
		})
	}
}

func testFailoverInStar(t *testing.T, m *mortal) {
	m.policy.MaxDataLoss = 1000
	ctl, _ := m.start(nil)
	m.waitState(ctl, StateRunning)
	m.createTable("a")
	l := m.startLoad(4, 2*time.Millisecond)
	time.Sleep(time.Second)
	m.stopReceiver("b") // b, the first one in the configuration, has less
	time.Sleep(500 * time.Millisecond)
	m.server("a").Kill9()
	m.waitFor("c is primary", func() bool { return ctl.Status().Primary == "c" })
	if !l.goesOn() {
		t.Error("nothing is written after the failover")
	}
	m.waitFor("b follows c", func() bool { return m.follows("b", "c") })
	m.revive("a")
	lost := m.cure(ctl, "a")
	if !m.follows("a", "c") {
		t.Error("a does not follow c")
	}
	acks, _ := l.stop()
	m.wantOnlyWritable("c")
	m.wantEverywhereBut(acks, lost)
}

// stopReceiver stops the receiver of a standby.
func (c *cluster) stopReceiver(name string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d, err := flavor.Detect(ctx, c.admin[name])
	if err == nil {
		err = d.StopReplica(ctx, c.admin[name], "", flavor.ReceiverThread)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// follows reports whether a link of the server from the one called source runs.
func (c *cluster) follows(name, source string) bool {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d, err := flavor.Detect(ctx, c.admin[name])
	if err != nil {
		return false
	}
	facts, err := d.Observe(ctx, c.admin[name])
	if err != nil {
		return false
	}
	for _, l := range facts.Links {
		if l.Running() && l.Source == c.address(source) {
			return true
		}
	}
	return false
}

// A primary that hangs is replaced; when it wakes up it is closed at once.
func TestFailoverOfHungPrimary(t *testing.T) {
	onMortals(t, func(t *testing.T, m *mortal) {
		ctl, _ := m.start(nil)
		m.waitState(ctl, StateRunning)
		m.createTable("a")
		l := m.startLoad(4, 2*time.Millisecond)
		time.Sleep(1500 * time.Millisecond)
		hung := time.Now()
		m.server("a").Pause()
		m.waitFor("b is primary", func() bool { return ctl.Status().Primary == "b" })
		t.Logf("took %s, %+v", time.Since(hung), ctl.Status().Away)
		goesOn := l.goesOn()
		m.server("a").Continue()
		if !goesOn {
			t.Error("nothing is written after the failover")
		}
		m.waitFor("a is closed", func() bool { ro, _ := m.flags("a"); return ro })
		lost := m.cure(ctl, "a")
		acks, _ := l.stop()
		m.wantOnlyWritable("b")
		m.wantEverywhereBut(acks, lost)
	})
}

// The fence by semi-sync stops the only receiver that acknowledges. When the failover is then given up that one has to run
// again: without it no commit ends.
func TestFailoverGivenUpAfterSemiSyncFence(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			m := newMortal(t, mysqltest.PairOptions{Flavor: f, SemiSync: true})
			ctl, _ := m.start(nil)
			m.waitState(ctl, StateRunning)
			m.createTable("a")
			var began, given sync.Once
			var known atomic.Bool // how a waits for acknowledgements
			hook := func(point string) (err error) {
				switch point {
				case string(stepPeek) + ":after":
					known.Store(true)
				case string(stepFenceOld) + ":before": // it is back, so that death is not proved, and hangs
					began.Do(func() { m.revive("a"); m.server("a").Pause() })
				case string(stepSilence) + ":before":
					given.Do(func() { m.server("a").Continue(); err = errors.New("given up by the test") })
				}
				return err
			}
			m.hook.Store(&hook)
			m.waitFor("the settings of a are known", known.Load)
			m.server("a").Kill9()
			m.waitFor("the failover is given up", func() bool {
				return slices.ContainsFunc(ctl.Journal().Events(0), func(e Event) bool { return e.Outcome == "aborted" })
			})
			if e := fenceOf(ctl); e != "fenced-by-semisync" {
				t.Fatalf("the fence was %q", e)
			}
			m.waitFor("b follows a", func() bool { return m.follows("b", "a") })
			m.waitState(ctl, StateRunning)
			m.asApp(ctl.Status().Primary, "INSERT INTO acks VALUES (1, @@server_id, 0)")
			m.wantSameRows()
		})
	}
}

// fenceOf is what the last fence of an old primary has achieved.
func fenceOf(ctl *Controller) (kind string) {
	for _, e := range ctl.Journal().Events(0) {
		if e.Step == string(stepFenceOld) && e.Evidence["fence"] != "" {
			kind = e.Evidence["fence"]
		}
	}
	return kind
}

// cure waits until the server that was left behind is back; what only it has is undone. It returns the ids of the rows
// that were undone, which is what the failover has lost.
func (m *mortal) cure(ctl *Controller, name string) map[uint64]bool {
	m.t.Helper()
	m.waitFor(name+" is judged", func() bool { s := ctl.Status(); return len(s.Away) == 0 || s.Away[0].Verdict != "" })
	lost := map[uint64]bool{}
	if s := ctl.Status(); len(s.Away) > 0 && s.Away[0].Verdict == verdictDiverged {
		only := m.onlyOn(name, s.Primary)
		r, err := ctl.Rejoin(context.Background(), RejoinRequest{Server: name, Method: RejoinRewind})
		if err != nil {
			m.t.Fatalf("rewind: %+v, %v", r, err)
		}
		rows := 0
		for _, t := range r.Errant {
			rows += t.Tables["app.acks"]
		}
		if rows != len(only) {
			m.t.Errorf("%d rows are only on %s, %d were reported", len(only), name, rows)
		}
		for _, id := range only {
			lost[id] = true
		}
	}
	m.waitState(ctl, StateRunning)
	return lost
}

// onlyOn lists the rows that the server a has and b has not.
func (m *mortal) onlyOn(a, b string) []uint64 {
	m.t.Helper()
	mine, theirs := m.rows(a), m.rows(b)
	var out []uint64
	for id := range mine {
		if _, ok := theirs[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}

// wantEverywhereBut is wantEverywhere without the rows that a failover has lost and said so.
func (m *mortal) wantEverywhereBut(acks []ack, lost map[uint64]bool) {
	m.t.Helper()
	kept := acks[:0:0]
	for _, a := range acks {
		if !lost[a.id] {
			kept = append(kept, a)
		}
	}
	if n := len(acks) - len(kept); n > 0 {
		m.t.Logf("%d acknowledged rows were lost and reported", n)
	}
	m.wantEverywhere(kept)
}
