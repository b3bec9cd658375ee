package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

const shortSwitchover = "    failover: {mode: manual, throttle_timeout: 300ms, drain_timeout: 1s, fence_timeout: 1s, catchup_timeout: 1s, max_lag: 30s}\n"

// TestAbort is about switchovers that fail on the way: the old primary serves on, nothing is lost, and nobody but the
// one who asked for it notices more than a pause.
func TestAbort(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, shortSwitchover)
			t.Run("the standby cannot catch up", func(t *testing.T) { abortedAt(t, pair, o, "wait", holdApplier) })
			t.Run("the primary cannot be fenced", func(t *testing.T) { abortedAt(t, pair, o, "fence", holdCommits) })
			t.Run("a lock around the proxy is broken", func(t *testing.T) { lockAround(t, pair, o) })
		})
	}
}

// holdApplier lets the standby receive but not apply.
func holdApplier(t *testing.T, pair *mysqltest.Pair) (release func()) {
	blocker := pinnedConn(t, pair.Servers[1].DB())
	execOn(t, blocker, "FLUSH TABLES app.writes WITH READ LOCK")
	return func() { execOn(t, blocker, "UNLOCK TABLES") }
}

// holdCommits holds a backup lock or the like on the primary, under which the fence has to wait. Its holder has the
// name of the control account, whose sessions are never killed.
func holdCommits(t *testing.T, pair *mysqltest.Pair) (release func()) {
	db := openAs(t, mysqltest.ControlUser, mysqltest.ControlPassword, pair.Servers[0].Addr(), "onewriter", "")
	blocker := pinnedConn(t, db)
	execOn(t, blocker, "CREATE TABLE IF NOT EXISTS onewriter.held (id INT)")
	execOn(t, blocker, "LOCK TABLES onewriter.held WRITE")
	return func() {
		execOn(t, blocker, "UNLOCK TABLES")
		execOn(t, blocker, "DROP TABLE onewriter.held")
	}
}

func abortedAt(t *testing.T, pair *mysqltest.Pair, o *onewriter, phase string, hinder func(*testing.T, *mysqltest.Pair) func()) {
	// So little that the standby's backlog does not end the attempt before clients are held.
	l := startPaced(t, o.primary, 4, 100*time.Millisecond)
	time.Sleep(between)
	before := o.status()
	began := time.Now()
	release := hinder(t, pair)
	if phase == "wait" {
		o.eventually(5*time.Second, "the standby has something to catch up with", func() error {
			if a, b := len(rowsOn(t, pair.Servers[0])), len(rowsOn(t, pair.Servers[1])); a == b {
				return fmt.Errorf("both have %d rows", a)
			}
			return nil
		})
	}
	m := o.switchover(`{"to": "b"}`)
	if m.Status != http.StatusServiceUnavailable || len(m.Reasons) == 0 || m.Phase != phase {
		t.Errorf("switchover: %+v, want 503 in phase %s", m, phase)
	}
	t.Logf("after %s: %q", time.Since(began).Round(time.Millisecond), m.Reasons)
	if err := readOnly(pair.Servers[1].DB()); err != nil {
		t.Errorf("the standby: %v", err)
	}
	if err := readOnly(pair.Servers[0].DB()); err == nil {
		t.Error("the primary stayed read-only")
	}
	if after := o.status(); after.Primary != before.Primary || after.State != "running" {
		t.Errorf("the cluster changed from %+v to %+v", before, after)
	}
	time.Sleep(between)
	release()
	time.Sleep(between)
	acks, errs := l.end()
	for _, err := range errs {
		t.Errorf("a client saw an error: %v", err)
	}
	o.caughtUp(pair)
	verify(t, pair, acks, []reign{{server: serverID(t, pair.Servers[0]), from: began.Add(-time.Minute), to: time.Now()}})
	t.Logf("%d acknowledged, longest gap %s", len(acks), longestPause(acks, began, time.Now()).Round(time.Millisecond))
	o.mustSwitch(`{"to": "b"}`) // nothing is left behind
	o.mustSwitch(`{"to": "a"}`)
}

// lockAround: an application that goes round the proxy holds a table lock, which keeps the fence waiting. It is not
// asked for permission.
func lockAround(t *testing.T, pair *mysqltest.Pair, o *onewriter) {
	mustExec(t, open(t, o.primary, ""), "CREATE TABLE around (id INT PRIMARY KEY)")
	around := pinnedConn(t, openAs(t, mysqltest.AppUser, mysqltest.AppPassword, pair.Servers[0].Addr(), "app", ""))
	execOn(t, around, "LOCK TABLES around WRITE")
	execOn(t, around, "INSERT INTO around VALUES (1)")
	o.mustSwitch(`{"to": "b"}`)
	if _, err := around.ExecContext(t.Context(), "INSERT INTO around VALUES (2)"); err == nil {
		t.Error("the lock's holder wrote to the old primary after the switchover")
	}
	o.eventually(10*time.Second, "the row from before is on the new primary", func() error {
		var n int
		if err := open(t, o.primary, "").QueryRow("SELECT COUNT(*) FROM around").Scan(&n); err != nil || n != 1 {
			return fmt.Errorf("%d rows, %w", n, err)
		}
		return nil
	})
	o.mustSwitch(`{"to": "a"}`)
}

// TestKilledAmidSwitchover ends onewriter the hard way at different moments of a switchover and starts it again: there
// is exactly one writer then, and nothing that was acknowledged is lost.
func TestKilledAmidSwitchover(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, "")
			var acks []ack
			for i := range 8 {
				// The load's clients lose their proxy, which is an error for them; what counts is what they were told.
				l := startLoad(t, o.primary, 4)
				time.Sleep(100 * time.Millisecond)
				asked := make(chan struct{})
				go func() {
					defer close(asked)
					resp, err := http.Post("http://"+o.admin+"/api/v1/clusters/test/switchover", "application/json", strings.NewReader("{}"))
					if err == nil {
						_ = resp.Body.Close()
					}
				}()
				time.Sleep(time.Duration(i) * 3 * time.Millisecond)
				o.process.Kill()
				<-asked
				told, _ := l.end()
				acks = append(acks, told...)
				o.start()
				o.ready()
				writable := 0
				for _, s := range pair.Servers {
					if readOnly(s.DB()) != nil {
						writable++
					}
				}
				if st := o.status(); writable != 1 || st.State != "running" {
					t.Fatalf("%d servers are writable after kill %d: %+v", writable, i, st)
				}
			}
			o.caughtUp(pair)
			for _, s := range pair.Servers {
				rows := rowsOn(t, s)
				for _, a := range acks {
					if _, ok := rows[a.id]; !ok {
						t.Fatalf("acknowledged row %d is lost", a.id)
					}
				}
			}
			if sums := checksums(t, pair); !equal(sums) {
				t.Errorf("checksums differ: %v", sums)
			}
			t.Logf("%d acknowledged rows, all there", len(acks))
			o.mustSwitch("{}")
		})
	}
}
