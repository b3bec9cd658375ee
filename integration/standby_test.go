package integration

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// onServer checks that the next query of db is answered by the server with the id.
func onServer(db *sql.DB, want uint32) error {
	var id uint32
	if err := db.QueryRow("SELECT @@server_id").Scan(&id); err != nil {
		return err
	}
	if id != want {
		return fmt.Errorf("server %d answers, want %d", id, want)
	}
	return nil
}

// TestStandby is about the listener whose clients read from the standby, and about those who go there by themselves.
func TestStandby(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, "    limits: {hold_timeout: 1s}\n")
			mustExec(t, open(t, o.primary, ""), "CREATE TABLE t (id INT PRIMARY KEY)")
			t.Run("follows the roles", func(t *testing.T) { standbyFollows(t, pair, o) })
			t.Run("falls back", func(t *testing.T) { standbyFallsBack(t, f, pair, o) })
			t.Run("lags", func(t *testing.T) { standbyLags(t, pair, o) })
			t.Run("is closed to applications", func(t *testing.T) { standbyIsClosed(t, f, pair, o) })
		})
	}
}

// standbyFollows reads and tries to write on one connection each while the roles move.
func standbyFollows(t *testing.T, pair *mysqltest.Pair, o *onewriter) {
	ids := []uint32{serverID(t, pair.Servers[0]), serverID(t, pair.Servers[1])}
	var lists []*sql.DB
	for _, addr := range []string{o.standby, o.strict} {
		db := open(t, addr, "")
		db.SetMaxOpenConns(1)
		lists = append(lists, db)
	}
	for i := range 4 {
		for _, db := range lists {
			o.eventually(10*time.Second, "the standby's listener follows", func() error { return onServer(db, ids[(i+1)%2]) })
		}
		_, err := lists[1].Exec("INSERT INTO t VALUES (1)")
		wantCode(t, err, 1290)
		if i < 3 {
			o.mustSwitch("{}")
		}
	}
	o.mustSwitch(`{"to": "a"}`)
}

func standbyFallsBack(t *testing.T, f mysqltest.Flavor, pair *mysqltest.Pair, o *onewriter) {
	a, b := serverID(t, pair.Servers[0]), serverID(t, pair.Servers[1])
	stop, start := "STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD"
	if f == mysqltest.MySQL && pair.Servers[0].AtLeast(8, 2) {
		stop, start = "STOP REPLICA SQL_THREAD", "START REPLICA SQL_THREAD"
	}
	db := open(t, o.standby, "")
	db.SetMaxOpenConns(1)
	o.eventually(10*time.Second, "the standby serves", func() error { return onServer(db, b) })
	mustExec(t, pair.Servers[1].DB(), stop)
	defer func() { mustExec(t, pair.Servers[1].DB(), start) }()
	o.eventually(10*time.Second, "the primary serves instead", func() error { return onServer(db, a) })
	began := time.Now()
	err := open(t, o.strict, "").Ping()
	wantCode(t, err, 1290)
	if err != nil && !strings.Contains(err.Error(), "standby") {
		t.Errorf("the error does not say that there is no standby: %v", err)
	}
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("the error took %s", took)
	}
	mustExec(t, pair.Servers[1].DB(), start)
	o.eventually(10*time.Second, "the standby serves again", func() error { return onServer(db, b) })
	o.eventually(10*time.Second, "the strict listener serves again", func() error { return onServer(open(t, o.strict, ""), b) })
}

// standbyLags holds up the applier with a lock while the heartbeat goes on.
func standbyLags(t *testing.T, pair *mysqltest.Pair, o *onewriter) {
	b := serverID(t, pair.Servers[1])
	db := open(t, o.strict, "")
	db.SetMaxOpenConns(1)
	o.eventually(10*time.Second, "the standby serves", func() error { return onServer(db, b) })
	blocker := pinnedConn(t, pair.Servers[1].DB())
	execOn(t, blocker, "FLUSH TABLES WITH READ LOCK")
	began := time.Now()
	o.eventually(15*time.Second, "the lag is noticed", func() error {
		if err := onServer(db, b); err == nil {
			return fmt.Errorf("still served after %s", time.Since(began))
		}
		return nil
	})
	execOn(t, blocker, "UNLOCK TABLES")
	o.eventually(15*time.Second, "the standby serves again", func() error { return onServer(db, b) })
}

// standbyIsClosed: an application that goes round the proxy cannot write to the standby, and accounts that could are
// named.
func standbyIsClosed(t *testing.T, f mysqltest.Flavor, pair *mysqltest.Pair, o *onewriter) {
	direct := openAs(t, mysqltest.AppUser, mysqltest.AppPassword, pair.Servers[1].Addr(), "app", "")
	for _, q := range []string{"INSERT INTO t VALUES (1)", "CREATE TABLE u (id INT)", "TRUNCATE TABLE t"} {
		_, err := direct.Exec(q)
		wantCode(t, err, 1290)
	}
	root := pair.Servers[0].DB()
	privilege := "SUPER"
	if f == mysqltest.MariaDB {
		privilege = "READ_ONLY ADMIN"
	}
	mustExec(t, root, "CREATE USER 'mighty'@'%' IDENTIFIED BY 'm'")
	mustExec(t, root, "GRANT "+privilege+" ON *.* TO 'mighty'@'%'")
	again := configure(t, "", pair.Servers[0].Addr(), pair.Servers[1].Addr())
	o.process.Kill()
	again.start()
	again.ready()
	again.eventually(10*time.Second, "the account is reported", func() error {
		for _, s := range again.status().Servers {
			if s.Role == "standby" && strings.Contains(strings.Join(s.Problems, " "), "mighty@%") {
				return nil
			}
		}
		return fmt.Errorf("%+v", again.status().Servers)
	})
	if !strings.Contains(again.process.Output(), "mighty@%") {
		t.Error("the log does not name the account")
	}
}
