package integration

import (
	"database/sql"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

const withWatchdog = "    fencing: {watchdog: true, watchdog_ttl: 2s}\n"

// closed reports whether the server is read-only, asked as an administrator.
func closed(t *testing.T, s *mysqltest.Server) bool {
	t.Helper()
	db, err := sql.Open("mysql", "root:"+mysqltest.RootPassword+"@tcp("+s.Addr()+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var on bool
	if err := db.QueryRow("SELECT @@global.read_only").Scan(&on); err != nil {
		t.Fatal(err)
	}
	return on
}

// The watchdog closes a primary whose onewriter has stopped, survives switchovers, and nothing is left of it after an
// orderly end.
func TestWatchdog(t *testing.T) {
	eachFlavor(t, func(t *testing.T, f mysqltest.Flavor) {
		pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true, Config: map[string]string{"event-scheduler": "ON"}}, withWatchdog)
		renewed := func(n float64) {
			t.Helper()
			o.eventually(15*time.Second, "the lease is renewed", func() error {
				_, body := o.get("/metrics")
				_, line, _ := strings.Cut(body, "\nonewriter_watchdog_renewals_total{cluster=\"test\"} ")
				var got float64
				if _, err := fmt.Sscan(line, &got); err != nil || got < n {
					return fmt.Errorf("%g renewals (%v)", got, err)
				}
				return nil
			})
		}
		renewed(3)
		o.mustSwitch(`{"to":"b"}`)
		time.Sleep(5 * time.Second) // more than a lease
		if closed(t, pair.Servers[1]) {
			t.Fatal("the new primary was closed after a switchover")
		}
		o.mustSwitch(`{"to":"a"}`)
		time.Sleep(4 * time.Second) // until the event has run on this server again
		if closed(t, pair.Servers[0]) {
			t.Fatal("the primary was closed after the role had come back")
		}
		o.process.Signal(syscall.SIGSTOP)
		o.eventually(10*time.Second, "the primary closes itself", func() error {
			if !closed(t, pair.Servers[0]) {
				return fmt.Errorf("it is open")
			}
			return nil
		})
		o.process.Signal(syscall.SIGCONT)
		db := open(t, o.primary, "")
		o.eventually(30*time.Second, "clients can write again", func() error {
			_, err := db.Exec("CREATE TABLE IF NOT EXISTS written (id INT PRIMARY KEY)")
			return err
		})
		before := o.status().Primary
		o.process.Signal(syscall.SIGTERM)
		select {
		case <-o.process.Done():
			if err := o.process.Err(); err != nil {
				t.Errorf("it ended with %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("it does not end")
		}
		time.Sleep(5 * time.Second)
		if closed(t, pair.Servers[before[0]-'a']) {
			t.Error("the primary closed itself after an orderly end")
		}
	})
}
