package health

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// eachPair runs test on every pair of real servers with a running monitor whose primary is a.
func eachPair(t *testing.T, test func(t *testing.T, m *Monitor, a, b string)) {
	t.Helper()
	for _, kind := range mysqltest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel() // with the other pairs
			pair, _ := shared.Pair(t, kind.Name, kind.Options)
			monitorPair(t, pair.Servers[0].Addr(), pair.Servers[1].Addr(), test)
		})
	}
}

func monitorPair(t *testing.T, a, b string, test func(t *testing.T, m *Monitor, a, b string)) {
	t.Helper()
	exec(t, a, flavor.SchemaSQL()...)
	m, err := New(Config{
		Cluster: "c", Writer: t.Name()[:min(60, len(t.Name()))], Heartbeat: true, Logger: zerolog.Nop(),
		Servers: []topology.Instance{{Name: "a", Address: a}, {Name: "b", Address: b}},
		Connect: func(i topology.Instance) (*sql.DB, error) {
			return flavor.Open(i.Address, flavor.Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	m.SetPrimary(topology.Primary{Instance: topology.Instance{Name: "a", Address: a}, Epoch: 1})
	test(t, m, a, b)
}

func exec(t *testing.T, address string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, s := range statements {
		if _, err := openDB(t, address).ExecContext(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func value(t *testing.T, address, query string) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var name string
	if err := openDB(t, address).QueryRowContext(ctx, query).Scan(&name, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// await waits until check accepts the observation of the server called name.
func await(t *testing.T, m *Monitor, name string, limit time.Duration, check func(topology.Observation) bool) topology.Observation {
	t.Helper()
	var o topology.Observation
	for begun := time.Now(); time.Since(begun) < limit; time.Sleep(20 * time.Millisecond) {
		if o, _ = m.Snapshot().Find(name); check(o) {
			return o
		}
	}
	t.Errorf("%s after %s: %+v", name, limit, o)
	return o
}

func TestRealPairIsHealthy(t *testing.T) {
	eachPair(t, func(t *testing.T, m *Monitor, _, _ string) {
		await(t, m, "b", 8*time.Second, func(o topology.Observation) bool {
			return o.Class == topology.ClassOK && o.MeasuredLag >= 0 && o.MeasuredLag < time.Second && o.Facts.Links[0].Running()
		})
		for range 10 {
			time.Sleep(200 * time.Millisecond)
			b, _ := m.Snapshot().Find("b")
			a, _ := m.Snapshot().Find("a")
			if b.ReceiveAge > 2*time.Second || b.MeasuredLag < 0 || b.MeasuredLag > time.Second || b.Class != topology.ClassOK || a.Class != topology.ClassOK {
				t.Errorf("b: %+v", b)
			}
			if age := a.FactsAt.Sub(a.PositionAt); a.PositionAt.IsZero() || age > ownOfPrimary || a.Facts.GTID && age != 0 {
				t.Errorf("the position of the primary was read %s before the rest", age)
			}
			if p := append(slices.Clone(a.Problems), b.Problems...); len(p) > 0 {
				t.Errorf("problems of a healthy pair: %q", p)
			}
		}
	})
}

func TestRealLagIsMeasured(t *testing.T) {
	eachPair(t, func(t *testing.T, m *Monitor, _, b string) {
		await(t, m, "b", 8*time.Second, func(o topology.Observation) bool { return o.MeasuredLag >= 0 })
		stop, start := "STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD"
		if strings.Contains(t.Name(), "mysql") {
			stop, start = "STOP REPLICA SQL_THREAD", "START REPLICA SQL_THREAD"
		}
		exec(t, b, stop)
		await(t, m, "b", 8*time.Second, func(o topology.Observation) bool {
			return o.MeasuredLag > 2*time.Second && len(o.Problems) == 1 && strings.Contains(o.Problems[0], "does not apply") && o.ReceiveAge < 2*time.Second
		})
		exec(t, b, start)
		await(t, m, "b", 8*time.Second, func(o topology.Observation) bool {
			return o.MeasuredLag >= 0 && o.MeasuredLag < time.Second && len(o.Problems) == 0
		})
	})
}

func TestRealKillIsNoOutage(t *testing.T) {
	eachPair(t, func(t *testing.T, m *Monitor, a, _ string) {
		await(t, m, "a", 5*time.Second, func(o topology.Observation) bool { return o.Class == topology.ClassOK })
		snapshots, cancel := m.Subscribe()
		defer cancel()
		db := openDB(t, a)
		rows, err := db.QueryContext(t.Context(), "SELECT id FROM information_schema.processlist WHERE user = 'onewriter' AND id <> CONNECTION_ID()")
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if err := rows.Err(); err != nil || len(ids) == 0 {
			t.Fatal(ids, err)
		}
		for _, id := range ids {
			_, _ = db.ExecContext(t.Context(), "KILL "+id) // it may be gone by itself
		}
		for range 8 {
			s := <-snapshots
			if o, _ := s.Find("a"); o.Class != topology.ClassOK {
				t.Errorf("%s: %s", o.Class, o.Err)
			}
		}
	})
}

// TestRealCost counts the statements that the monitor runs on each server.
func TestRealCost(t *testing.T) {
	eachPair(t, func(t *testing.T, m *Monitor, a, b string) {
		await(t, m, "b", 8*time.Second, func(o topology.Observation) bool { return o.MeasuredLag >= 0 })
		const span = 5
		const query = "SHOW GLOBAL STATUS LIKE 'Questions'"
		cpu := processorTime(t)
		a0, b0 := value(t, a, query), value(t, b, query)
		time.Sleep(span * time.Second)
		qa, qb := value(t, a, query)-a0, value(t, b, query)-b0
		used := processorTime(t) - cpu
		t.Logf("statements per second: primary %.1f, standby %.1f; processor %.2f %% of a core for all that runs",
			float64(qa)/span, float64(qb)/span, 100*used.Seconds()/span)
		limit := 12*span + 4 // one fresh connection more or less may fall into the span
		if qa > limit || qb > limit {
			t.Errorf("too many statements in %d s: primary %d, standby %d", span, qa, qb)
		}
	})
}

// processorTime is what this process has used so far.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestRealLoginFails(t *testing.T) {
	eachPair(t, func(t *testing.T, _ *Monitor, a, _ string) {
		db, err := flavor.Open(a, flavor.Login{User: "onewriter", Password: "wrong"})
		if err != nil {
			t.Fatal(err)
		}
		p := newSQLProber(db, DefaultInterval)
		defer func() {
			p.close()
			_ = db.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), DefaultTimeout)
		defer cancel()
		if r := p.probe(ctx, order{}); Classify(r.err) != topology.ClassAuth {
			t.Errorf("%s: %v", Classify(r.err), r.err)
		}
	})
}
