package detect_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/health"
	"github.com/onewriter/onewriter/internal/faultnet"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// watch judges every snapshot of a monitor of real servers: a, which is reached through link, and b.
type watch struct {
	t    *testing.T
	pair *mysqltest.Pair
	link *faultnet.Link

	mu   sync.Mutex
	now  detect.Verdict // guarded by mu
	seen []turn         // guarded by mu; changes of kind since the last mark
	mark time.Time      // guarded by mu
}

// turn is a change of the verdict.
type turn struct {
	after   time.Duration // since the mark
	verdict detect.Verdict
}

func (w *watch) follow(snapshots <-chan *topology.Snapshot, done <-chan struct{}) {
	for {
		select {
		case s := <-snapshots:
			v := detect.Judge(s, "a", detect.Limits{})
			w.mu.Lock()
			if v.Kind != w.now.Kind {
				w.seen = append(w.seen, turn{time.Since(w.mark), v})
			}
			w.now = v
			w.mu.Unlock()
		case <-done:
			return
		}
	}
}

// begin forgets what was seen before fault is done.
func (w *watch) begin(fault func()) {
	w.mu.Lock()
	w.mark, w.seen = time.Now(), nil
	w.mu.Unlock()
	fault()
}

// expect waits for a verdict, logs how it came about, and fails when one of never comes before.
func (w *watch) expect(want detect.Kind, limit time.Duration, never ...detect.Kind) {
	w.t.Helper()
	for begun := time.Now(); time.Since(begun) < limit; time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		seen, now := slices.Clone(w.seen), w.now
		w.mu.Unlock()
		w.refuse(seen, never)
		if now.Kind == want {
			w.tell(seen)
			return
		}
	}
	w.t.Fatalf("%s after %s, want %s:\n%s", w.now.Kind, limit, want, strings.Join(w.now.Evidence, "\n"))
}

// expectDown waits for Down. Unreachable is as good when the standby's receiver met a reset at its first attempt: MariaDB
// tells no second error with the same number, and so never that it is refused from then on.
func (w *watch) expectDown(limit time.Duration) {
	w.t.Helper()
	for begun := time.Now(); time.Since(begun) < limit; time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		seen, now := slices.Clone(w.seen), w.now
		w.mu.Unlock()
		reset := strings.Contains(strings.Join(now.Evidence, "\n"), `(104 "Connection reset by peer")`)
		if now.Kind == detect.Down || now.Kind == detect.Unreachable && reset {
			w.tell(seen)
			return
		}
		w.refuse(seen, []detect.Kind{detect.Unreachable})
	}
	w.t.Fatalf("%s after %s, want %s:\n%s", w.now.Kind, limit, detect.Down, strings.Join(w.now.Evidence, "\n"))
}

// keep fails when one of never comes within d.
func (w *watch) keep(d time.Duration, never ...detect.Kind) {
	w.t.Helper()
	for begun := time.Now(); time.Since(begun) < d; time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		seen := slices.Clone(w.seen)
		w.mu.Unlock()
		w.refuse(seen, never)
	}
}

func (w *watch) refuse(seen []turn, never []detect.Kind) {
	w.t.Helper()
	for _, s := range seen {
		if slices.Contains(never, s.verdict.Kind) {
			w.tell(seen)
			w.t.Fatalf("%s must not come", s.verdict.Kind)
		}
	}
}

func (w *watch) tell(seen []turn) {
	w.t.Helper()
	for _, s := range seen {
		w.t.Logf("%7s %s\n    %s", s.after.Round(time.Millisecond), s.verdict.Kind, strings.Join(s.verdict.Evidence, "\n    "))
	}
}

// confirmed are the verdicts that would move the role.
var confirmed = []detect.Kind{detect.Down, detect.Unreachable, detect.NoCandidate}

func newWatch(t *testing.T, f mysqltest.Flavor) *watch {
	t.Helper()
	mysqltest.RequireFlavor(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	pair, err := mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pair.Close(); err != nil {
			t.Error(err)
		}
	})
	link, err := faultnet.Listen(pair.Servers[0].Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	w := &watch{t: t, pair: pair, link: link, mark: time.Now()}
	for _, q := range flavor.SchemaSQL() {
		w.exec(0, q)
	}
	w.run()
	return w
}

// run runs the monitor until the test ends.
func (w *watch) run() {
	a := topology.Instance{Name: "a", Address: w.link.Addr()}
	m, err := health.New(health.Config{
		Cluster: "c", Writer: "test", Heartbeat: true, Logger: zerolog.Nop(),
		Servers: []topology.Instance{a, {Name: "b", Address: w.pair.Servers[1].Addr()}},
		Connect: func(i topology.Instance) (*sql.DB, error) {
			return flavor.Open(i.Address, flavor.Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	snapshots, stop := m.Subscribe()
	var all sync.WaitGroup
	all.Go(func() {
		if err := m.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	all.Go(func() { w.follow(snapshots, ctx.Done()) })
	w.t.Cleanup(func() {
		cancel()
		all.Wait()
		stop()
	})
	m.SetPrimary(topology.Primary{Instance: a, Epoch: 1})
}

func (w *watch) exec(server int, statements ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, q := range statements {
		if _, err := w.pair.Servers[server].DB().ExecContext(ctx, q); err != nil {
			w.t.Fatalf("%s: %v", q, err)
		}
	}
}

// well waits until all is well and heartbeats have arrived for a while.
func (w *watch) well() {
	w.t.Helper()
	w.link.Heal()
	w.begin(func() {})
	w.expect(detect.Fine, 20*time.Second, confirmed...)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		row, err := w.pair.Servers[1].Row(ctx, map[mysqltest.Flavor]string{
			mysqltest.MariaDB: "SHOW SLAVE STATUS", mysqltest.MySQL: "SHOW REPLICA STATUS",
		}[w.pair.Servers[1].Flavor])
		if err != nil {
			w.t.Fatal(err)
		}
		if row["Slave_IO_Running"]+row["Replica_IO_Running"] == "Yes" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(1500 * time.Millisecond)
}

func (w *watch) restart() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.pair.Servers[0].Restart(ctx, nil); err != nil {
		w.t.Fatal(err)
	}
}

// TestRealVerdicts does to a real primary what must and what must not lead to a failover.
func TestRealVerdicts(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel() // with the other flavour
			w := newWatch(t, f)
			a := w.pair.Servers[0]
			for _, s := range []struct {
				name string
				test func()
			}{
				{"cut here only", func() {
					w.begin(w.link.Cut)
					w.expect(detect.MyLink, 5*time.Second, confirmed...)
					w.keep(4*time.Second, confirmed...)
				}},
				{"rejected here only", func() {
					w.begin(w.link.Reject)
					w.expect(detect.MyLink, 4*time.Second, confirmed...)
					w.keep(4*time.Second, confirmed...)
				}},
				{"stall of 1.5 s", func() {
					w.begin(func() { a.Pause(); time.Sleep(1500 * time.Millisecond); a.Continue() })
					w.keep(2*time.Second, confirmed...)
				}},
				{"no connection left", w.crowd},
				{"bad replication password", w.badPassword},
				{"pause", func() {
					w.begin(a.Pause)
					w.expect(detect.Unreachable, 5*time.Second, detect.Down)
					a.Continue()
				}},
				{"kill -9", func() {
					w.begin(a.Kill9)
					w.expectDown(3 * time.Second)
					w.restart()
				}},
				{"clean stop", func() {
					w.begin(func() {
						ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
						defer cancel()
						if err := a.Stop(ctx); err != nil {
							t.Error(err)
						}
					})
					w.expectDown(5 * time.Second)
					w.restart()
				}},
			} {
				ok := t.Run(s.name, func(t *testing.T) {
					w.t = t
					w.well()
					s.test()
				})
				if !ok {
					return
				}
			}
			w.t = t
		})
	}
}

// crowd takes all connections of a, and those of the monitor as well.
func (w *watch) crowd() {
	w.exec(0, "SET GLOBAL max_connections = 20")
	var held []*sql.DB
	defer func() {
		for _, db := range held {
			_ = db.Close()
		}
		w.exec(0, "SET GLOBAL max_connections = 500")
	}()
	for range 40 {
		db, err := flavor.Open(w.pair.Servers[0].Addr(), flavor.Login{User: mysqltest.AppUser, Password: mysqltest.AppPassword})
		if err != nil {
			w.t.Fatal(err)
		}
		held = append(held, db)
		if err = db.PingContext(w.t.Context()); err != nil {
			break
		}
	}
	w.begin(func() { w.killMonitor() })
	w.keep(4*time.Second, append([]detect.Kind{detect.MyLink}, confirmed...)...)
}

// killMonitor ends the monitor's connections at a.
func (w *watch) killMonitor() {
	w.t.Helper()
	rows, err := w.pair.Servers[0].DB().QueryContext(w.t.Context(), "SELECT id FROM information_schema.processlist WHERE user = '"+mysqltest.ControlUser+"'")
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	for _, id := range ids {
		_, _ = w.pair.Servers[0].DB().ExecContext(w.t.Context(), fmt.Sprintf("KILL %d", id)) // it may be gone
	}
}

// badPassword lets b log in at a with a wrong password, and then cuts a off from here.
func (w *watch) badPassword() {
	// MariaDB 10.11 sets the heartbeat period to half of slave_net_timeout when a change does not name it.
	change, stop, start := "CHANGE MASTER TO MASTER_PASSWORD = '%s', MASTER_HEARTBEAT_PERIOD = 1", "STOP SLAVE", "START SLAVE"
	if w.pair.Servers[1].Flavor == mysqltest.MySQL {
		change, stop, start = "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD = '%s'", "STOP REPLICA", "START REPLICA"
	}
	w.exec(1, stop, fmt.Sprintf(change, "wrong"), start)
	defer w.exec(1, stop, fmt.Sprintf(change, mysqltest.ReplicationPassword), start)
	w.begin(func() {})
	w.keep(4*time.Second, append([]detect.Kind{detect.Suspect, detect.MyLink}, confirmed...)...)
	w.begin(w.link.Cut)
	w.expect(detect.MyLink, 6*time.Second, confirmed...)
	w.keep(3*time.Second, confirmed...)
}
