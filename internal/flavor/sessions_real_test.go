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
			_, err := lister.ExecContext(bounded(t), "SELECT SLEEP(3), COUNT(*) FROM app.t")
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
		ss, err := d.Sessions(bounded(t), a)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range ss {
			if strings.Contains(s.Info, "SLEEP(3)") {
				id = s.ID
			}
			if s.System || s.Replication || s.User == "repl" || s.User == "system user" {
				t.Errorf("not a client: %+v", s)
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
