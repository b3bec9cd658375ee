package integration

import (
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/certtest"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// switchovers is how often the primary role moves in each test, and pause between two moves.
const (
	switchovers = 20
	between     = 300 * time.Millisecond
)

func TestSwitchoverUnderLoad(t *testing.T) {
	for _, c := range []struct {
		name string
		opts mysqltest.PairOptions
	}{
		{"mariadb gtid circular", mysqltest.PairOptions{Flavor: mysqltest.MariaDB}},
		{"mariadb file position", mysqltest.PairOptions{Flavor: mysqltest.MariaDB, FilePos: true}},
		{"mariadb star", mysqltest.PairOptions{Flavor: mysqltest.MariaDB, Star: true}},
		{"mysql gtid circular", mysqltest.PairOptions{Flavor: mysqltest.MySQL}},
		{"mysql file position", mysqltest.PairOptions{Flavor: mysqltest.MySQL, FilePos: true}},
		{"mysql star", mysqltest.PairOptions{Flavor: mysqltest.MySQL, Star: true}},
	} {
		t.Run(c.name, func(t *testing.T) { switchBackAndForth(t, c.opts) })
	}
}

func switchBackAndForth(t *testing.T, opts mysqltest.PairOptions) {
	extra := ""
	if opts.Star { // the links that are made are encrypted as our own connections are
		ca := certtest.New(t)
		cert, key := ca.Issue("server")
		opts.Config, extra = map[string]string{"ssl-ca": ca.File, "ssl-cert": cert, "ssl-key": key}, "    server_tls: {mode: required}\n"
	}
	pair, o := startPair(t, opts, extra)
	l := startLoad(t, o.primary, 8)
	began := time.Now()
	reigns, pauses := moveRole(t, pair, o, switchovers)
	acks, errs := l.end()
	for i, err := range errs {
		if i < 5 {
			t.Errorf("a client saw an error: %v", err)
		}
	}
	o.caughtUp(pair)
	if opts.Star {
		encryptedLink(t, pair.Servers[slices.Index([]string{"b", "a"}, o.status().Primary)], opts.Flavor)
	}
	verify(t, pair, acks, reigns)
	sort.Float64s(pauses)
	t.Logf("%d acknowledged, %d client errors, pause median %.1f ms, longest %.1f ms, longest gap between two acknowledgements %s",
		len(acks), len(errs), pauses[len(pauses)/2], pauses[len(pauses)-1], longestPause(acks, began, time.Now()).Round(time.Millisecond))
	if len(acks) < 100 {
		t.Errorf("only %d writes were acknowledged: the load did not run", len(acks))
	}
}

// encryptedLink checks that the server replicates over TLS.
func encryptedLink(t *testing.T, s *mysqltest.Server, f mysqltest.Flavor) {
	t.Helper()
	query, column := "SHOW SLAVE STATUS", "Master_SSL_Allowed"
	if f == mysqltest.MySQL {
		query, column = "SHOW REPLICA STATUS", "Source_SSL_Allowed"
	}
	if row, err := s.Row(t.Context(), query); err != nil || row[column] != "Yes" {
		t.Errorf("the link of the standby is not encrypted: %v, %v", row, err)
	}
}

// moveRole moves the primary role n times and gives the time in which each server had it, and the pauses in ms.
func moveRole(t *testing.T, pair *mysqltest.Pair, o *onewriter, n int) ([]reign, []float64) {
	t.Helper()
	ids := map[string]uint32{"a": serverID(t, pair.Servers[0]), "b": serverID(t, pair.Servers[1])}
	reigns := []reign{{server: ids[o.status().Primary], from: time.Now()}}
	var pauses []float64
	time.Sleep(between)
	for range n {
		reigns[len(reigns)-1].to = time.Now()
		m := o.mustSwitch("{}")
		if len(m.SessionsClosed) > 0 {
			t.Errorf("sessions were closed: %+v", m.SessionsClosed)
		}
		for _, s := range o.status().Servers { // at once: what was seen before the move must not be shown
			if s.ReadOnly == (s.Name == m.To) || strings.Contains(strings.Join(s.Problems, " "), "read_only is off") {
				t.Errorf("right after the move to %s: %+v", m.To, s)
			}
		}
		pauses = append(pauses, m.PauseMS)
		reigns = append(reigns, reign{server: ids[m.To], from: time.Now()})
		time.Sleep(between)
	}
	reigns[len(reigns)-1].to = time.Now()
	return reigns, pauses
}

func TestOpenTransactionBeyondTheDrainLimitIsEndedClearly(t *testing.T) {
	_, o := startPair(t, mysqltest.PairOptions{Flavor: mysqltest.MariaDB, Fast: true}, "")
	db := open(t, o.primary, "")
	mustExec(t, db, "CREATE TABLE slow (id INT PRIMARY KEY)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("INSERT INTO slow VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	m := o.mustSwitch("{}")
	if len(m.SessionsClosed) != 1 {
		t.Errorf("sessions closed: %+v, want the one with the transaction", m.SessionsClosed)
	}
	_, err = tx.Exec("INSERT INTO slow VALUES (2)")
	wantCode(t, err, 1213)
	_ = tx.Rollback()
	mustExec(t, db, "INSERT INTO slow VALUES (3)")
	var n int
	if err := db.QueryRow("SELECT SUM(id) FROM slow").Scan(&n); err != nil || n != 3 {
		t.Errorf("rows sum to %d (%v), want only the 3 of after the switchover", n, err)
	}
}
