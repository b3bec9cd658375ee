package flavor

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"
)

func sessionID(t *testing.T, d Dialect, c *sql.Conn) uint64 {
	t.Helper()
	id, err := d.ConnectionID(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// eventually looks at the sessions until check accepts the one with id; innodb_trx may be 0.1 s old.
func eventually(t *testing.T, d Dialect, q Querier, id uint64, check func(Session) bool) {
	t.Helper()
	var last []Session
	for begun := time.Now(); time.Since(begun) < 3*time.Second; time.Sleep(20 * time.Millisecond) {
		ss, err := d.Sessions(bounded(t), q)
		if err != nil {
			t.Fatal(err)
		}
		last = ss
		if i := slices.IndexFunc(ss, func(s Session) bool { return s.ID == id }); i >= 0 && check(ss[i]) {
			return
		}
	}
	t.Errorf("session %d is not as expected: %+v", id, last)
}

func TestSessions(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, _ := p.ends(t)
		must(t, app(t, p.a), "INSERT INTO app.t (v) VALUES (1), (2)")
		writer, reader, locker, table, idle, lister := app(t, p.a), app(t, p.a), app(t, p.a), app(t, p.a), app(t, p.a), app(t, p.a)
		must(t, writer, "BEGIN", "UPDATE app.t SET v = v + 1 LIMIT 1")
		must(t, reader, "START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT COUNT(*) FROM app.t")
		must(t, locker, "BEGIN", "SELECT * FROM app.t ORDER BY id DESC LIMIT 1 FOR UPDATE")
		must(t, table, "CREATE TABLE IF NOT EXISTS app.l (id INT)", "LOCK TABLES app.l WRITE")
		done := make(chan error, 1)
		go func() {
			_, err := lister.ExecContext(bounded(t), "SELECT SLEEP(15), COUNT(*) FROM app.t")
			done <- err
		}()
		d := p.da
		eventually(t, d, a, sessionID(t, d, writer), func(s Session) bool {
			return s.InTransaction && s.Wrote && s.Blocks() == BlocksSurely && s.User == "app" && s.Command == "Sleep" && !s.Privileged
		})
		eventually(t, d, a, sessionID(t, d, reader), func(s Session) bool {
			return s.InTransaction && !s.Wrote && s.Blocks() == BlocksPossibly
		})
		eventually(t, d, a, sessionID(t, d, locker), func(s Session) bool {
			return s.InTransaction && !s.Wrote && s.HoldsLocks && s.Blocks() == BlocksSurely
		})
		eventually(t, d, a, sessionID(t, d, idle), func(s Session) bool {
			return !s.InTransaction && !s.LocksTables && s.Blocks() == BlocksPossibly
		})
		if d.Name() == "mysql" {
			eventually(t, d, a, sessionID(t, d, table), func(s Session) bool { return s.LocksTables && s.Blocks() == BlocksSurely })
		}
		id := uint64(0)
		for begun := time.Now(); id == 0 && time.Since(begun) < 10*time.Second; time.Sleep(10 * time.Millisecond) { // until it runs
			ss, err := d.Sessions(bounded(t), a)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range ss {
				if strings.Contains(s.Info, "SLEEP(15)") {
					id = s.ID
				}
				if s.System || s.Replication || s.User == "repl" || s.User == "system user" {
					t.Errorf("not a client: %+v", s)
				}
			}
		}
		eventually(t, d, a, id, func(s Session) bool { return s.AutocommitReadOnly && s.Blocks() == BlocksNot })
		if err := d.KillQuery(bounded(t), a, id); err != nil {
			t.Error(err)
		}
		<-done
		if err := d.Kill(bounded(t), a, sessionID(t, d, writer)); err != nil {
			t.Error(err)
		}
		if err := d.Kill(bounded(t), a, 4000000000); number(err) != 1094 {
			t.Errorf("kill of nobody: %v", err)
		}
	})
}

func TestPrivileged(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, _ := p.ends(t)
		must(t, root(t, p.a), "CREATE USER IF NOT EXISTS strong@'%' IDENTIFIED BY 'x'", "GRANT SUPER, SELECT ON *.* TO strong@'%'")
		t.Cleanup(func() { must(t, root(t, p.a), "DROP USER strong@'%'") })
		names, err := p.da.PrivilegedAccounts(bounded(t), a)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(names, "strong@%") || slices.ContainsFunc(names, func(s string) bool {
			return strings.HasPrefix(s, "app@") || strings.HasPrefix(s, "onewriter@") || strings.HasPrefix(s, "mysql.") || s == "root@localhost" || s == "root@127.0.0.1"
		}) {
			t.Errorf("accounts %q", names)
		}
		c := login(t, p.a, "strong", "x")
		id := sessionID(t, p.da, c)
		eventually(t, p.da, a, id, func(s Session) bool { return s.Privileged })
		ordinary := sessionID(t, p.da, app(t, p.a))
		found, err := p.da.PrivilegedSessions(bounded(t), a)
		has := func(id uint64) bool { return slices.ContainsFunc(found, func(s Session) bool { return s.ID == id }) }
		if err != nil || !has(id) || has(ordinary) {
			t.Errorf("privileged sessions %+v, %v; want %d and not %d", found, err, id, ordinary)
		}
	})
}

// An account passes read_only by a role of a role, or by what everybody has (PUBLIC): both are seen, as long as it is so.
func TestPrivilegedByRole(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		if p.da.Kind() != KindMariaDB {
			t.Skip("super_read_only stops everybody")
		}
		a, _ := p.ends(t)
		r := root(t, p.a)
		must(t, r, "CREATE ROLE strong_role, weak_role, dba", "GRANT READ_ONLY ADMIN ON *.* TO strong_role", "GRANT strong_role TO dba", "GRANT SELECT ON *.* TO weak_role",
			"CREATE USER alice@'%' IDENTIFIED BY 'x', bob@'%' IDENTIFIED BY 'x'", "GRANT dba TO alice@'%'", "GRANT weak_role TO bob@'%'", "SET DEFAULT ROLE dba FOR alice@'%'",
			"CREATE TABLE app.roles (id INT PRIMARY KEY)", "GRANT INSERT ON app.roles TO alice@'%', bob@'%'")
		t.Cleanup(func() {
			must(t, root(t, p.a), "DROP ROLE strong_role, weak_role, dba", "DROP USER alice@'%', bob@'%'", "DROP TABLE app.roles")
		})
		alice, bob := login(t, p.a, "alice", "x"), login(t, p.a, "bob", "x")
		aliceID, bobID := sessionID(t, p.da, alice), sessionID(t, p.da, bob)
		want := func(wantAlice, wantBob bool) {
			t.Helper()
			found, err := p.da.PrivilegedSessions(bounded(t), a)
			has := func(id uint64) bool { return slices.ContainsFunc(found, func(s Session) bool { return s.ID == id }) }
			if err != nil || has(aliceID) != wantAlice || has(bobID) != wantBob {
				t.Errorf("privileged sessions %+v, %v; want alice (%d) %t, bob (%d) %t", found, err, aliceID, wantAlice, bobID, wantBob)
			}
			names, err := p.da.PrivilegedAccounts(bounded(t), a)
			if err != nil || slices.Contains(names, "alice@%") != wantAlice || slices.Contains(names, "bob@%") != wantBob {
				t.Errorf("privileged accounts %q, %v; want alice %t, bob %t", names, err, wantAlice, wantBob)
			}
		}
		want(true, false)
		eventually(t, p.da, a, aliceID, func(s Session) bool { return s.Privileged })
		eventually(t, p.da, a, bobID, func(s Session) bool { return !s.Privileged })
		must(t, r, "SET GLOBAL read_only = 1")
		t.Cleanup(func() { must(t, root(t, p.a), "SET GLOBAL read_only = 0") })
		must(t, alice, "INSERT INTO app.roles VALUES (1)") // so it is
		if _, err := bob.ExecContext(bounded(t), "INSERT INTO app.roles VALUES (2)"); number(err) != 1290 {
			t.Errorf("bob writes: %v", err)
		}
		if _, err := r.ExecContext(bounded(t), "GRANT READ_ONLY ADMIN ON *.* TO PUBLIC"); err != nil {
			t.Logf("no PUBLIC here: %v", err)
			return
		}
		want(true, true)
		must(t, r, "REVOKE READ_ONLY ADMIN ON *.* FROM PUBLIC", "REVOKE dba FROM alice@'%'")
		want(false, false)
	})
}

func TestPreparedXA(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, _ := p.ends(t)
		if n, err := p.da.PreparedXA(bounded(t), a); n != 0 || err != nil {
			t.Errorf("%d %v", n, err)
		}
		c := app(t, p.a)
		must(t, c, "XA START 'x'", "INSERT INTO app.t (v) VALUES (9)", "XA END 'x'", "XA PREPARE 'x'")
		if n, err := p.da.PreparedXA(bounded(t), a); n != 1 || err != nil {
			t.Errorf("%d %v", n, err)
		}
		must(t, c, "XA ROLLBACK 'x'")
	})
}
