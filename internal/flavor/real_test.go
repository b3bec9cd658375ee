package flavor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// realPair is a primary a and a standby b that replicate from each other.
type realPair struct {
	name   string
	gtid   bool // the links use GTID
	a, b   string
	da, db Dialect
}

// ends opens a connection of the control account to each server.
func (p *realPair) ends(t *testing.T) (a, b *sql.Conn) {
	t.Helper()
	return control(t, p.a), control(t, p.b)
}

func login(t *testing.T, address, user, password string) *sql.Conn {
	t.Helper()
	db, err := Open(address, Login{User: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = db.Close()
	})
	return conn
}

func control(t *testing.T, address string) *sql.Conn {
	return login(t, address, mysqltest.ControlUser, mysqltest.ControlPassword)
}

// root is for what is neither the program's task nor an application's.
func root(t *testing.T, address string) *sql.Conn {
	return login(t, address, "root", mysqltest.RootPassword)
}

func app(t *testing.T, address string) *sql.Conn {
	return login(t, address, mysqltest.AppUser, mysqltest.AppPassword)
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, q Querier, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := q.ExecContext(bounded(t), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func number(err error) uint16 {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// eachPair runs test on every pair of real servers.
func eachPair(t *testing.T, test func(t *testing.T, p *realPair)) {
	t.Helper()
	for _, kind := range mysqltest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel() // with the other pairs
			pair, _ := shared.Pair(t, kind.Name, kind.Options)
			p := &realPair{name: kind.Name, gtid: !kind.Options.FilePos, a: pair.Servers[0].Addr(), b: pair.Servers[1].Addr()}
			p.detect(t)
			test(t, p)
		})
	}
}

func (p *realPair) detect(t *testing.T) {
	t.Helper()
	a, b := p.ends(t)
	var err1, err2 error
	p.da, err1 = Detect(bounded(t), a)
	p.db, err2 = Detect(bounded(t), b)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	must(t, app(t, p.a), "CREATE TABLE IF NOT EXISTS app.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
	p.level(t)
}

// level waits until b has everything of a, by the server's own history or by file.
func (p *realPair) level(t *testing.T) {
	t.Helper()
	a, b := p.ends(t)
	target, err := p.target(t, a)
	if err == nil {
		err = p.db.Wait(bounded(t), b, target)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *realPair) target(t *testing.T, a Querier) (gtid.Position, error) {
	if p.gtid {
		return p.da.Position(bounded(t), a)
	}
	return p.da.BinlogPosition(bounded(t), a)
}

func TestObserve(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, b := p.ends(t)
		fa, err := p.da.Observe(bounded(t), a)
		if err != nil {
			t.Fatal(err)
		}
		fb, err := p.db.Observe(bounded(t), b)
		if err != nil {
			t.Fatal(err)
		}
		if fa.ServerID == fb.ServerID || fa.ServerID == 0 || !fa.Writable() || fb.Writable() || !fb.ReadOnly {
			t.Errorf("a %+v\nb %+v", fa, fb)
		}
		if fa.Flavor != p.da.Name() || !strings.HasPrefix(p.name, fa.Flavor) || fa.Version == "" || fa.ServerUUID == "" && (fa.Flavor == "mysql" || newer(fa.Version, 10, 10)) || !fa.BinaryLog {
			t.Errorf("a %+v", fa)
		}
		if d := time.Since(fa.Clock); d < -5*time.Second || d > 5*time.Second {
			t.Errorf("clock is off by %s", d)
		}
		if fa.Flavor == "mysql" && newer(fa.Version, 5, 7) && !fb.SuperReadOnly {
			t.Error("super_read_only is not seen")
		}
		p.checkLink(t, fa, fb)
	})
}

func (p *realPair) checkLink(t *testing.T, fa, fb topology.Facts) {
	t.Helper()
	if len(fb.Links) != 1 {
		t.Fatalf("links %+v", fb.Links)
	}
	l := fb.Links[0]
	if !l.Running() || l.SourceServerID != fa.ServerID || l.Source != p.a || !l.LagKnown || l.UsesGTID != p.gtid {
		t.Errorf("link %+v", l)
	}
	if !l.ReceivedFile.Known() || !l.AppliedFile.Known() || !l.Received.Known() || !l.Applied.Known() || l.ApplierState == "" {
		t.Errorf("positions of the link %+v", l)
	}
	if p.gtid && gtid.Relate(fa.Position, fb.Position) != gtid.Equal {
		t.Errorf("a %s, b %s", fa.Position, fb.Position)
	}
	want := map[string]gtid.Kind{"mariadb": gtid.KindMariaDB, "mysql": gtid.KindMySQL}[fa.Flavor]
	if fa.Flavor == "mysql" && !p.gtid {
		want = gtid.KindFile
	}
	if fa.Position.Kind() != want {
		t.Errorf("position %s is %s", fa.Position, fa.Position.Kind())
	}
}

func TestHeartbeatCounterMoves(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		_, b := p.ends(t)
		first := uint64(0)
		for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(200 * time.Millisecond) {
			f, err := p.db.Observe(bounded(t), b)
			if err != nil {
				t.Fatal(err)
			}
			if l := f.Links[0]; l.HeartbeatPeriod != time.Second || l.Retry != time.Second {
				t.Fatalf("heartbeat period %s, retry %s, want 1s for both", l.HeartbeatPeriod, l.Retry)
			}
			switch n := f.Links[0].Heartbeats; {
			case first == 0:
				first = n
			case n > first:
				return
			}
		}
		t.Errorf("the counter stays at %d", first)
	})
}

func TestReadOnly(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, _ := p.ends(t)
		client := app(t, p.a)
		t.Cleanup(func() { must(t, a, "SET GLOBAL read_only = 0") })
		if err := p.da.SetReadOnly(bounded(t), a); err != nil {
			t.Fatal(err)
		}
		ro, super, err := p.da.ReadOnly(bounded(t), a)
		if err != nil || !ro || super != (p.da.Name() == "mysql" && newer(p.da.Version(), 5, 7)) {
			t.Errorf("read_only=%t super=%t %v", ro, super, err)
		}
		if _, err := client.ExecContext(bounded(t), "INSERT INTO app.t (v) VALUES (1)"); number(err) != 1290 {
			t.Errorf("a write on the closed server: %v", err)
		}
		if err := p.da.SetWritable(bounded(t), a); err != nil {
			t.Fatal(err)
		}
		ro, super, err = p.da.ReadOnly(bounded(t), a)
		if err != nil || ro || super {
			t.Errorf("read_only=%t super=%t %v", ro, super, err)
		}
		must(t, client, "INSERT INTO app.t (v) VALUES (1)")
	})
}

func TestFenceIsBounded(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, _ := p.ends(t)
		client := app(t, p.a)
		must(t, client, "LOCK TABLES app.t WRITE")
		if err := p.da.LockWaitTimeout(bounded(t), a, 1); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		err := p.da.SetReadOnly(bounded(t), a)
		if took := time.Since(begun); number(err) != 1205 || took > 4*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		if ro, super, err := p.da.ReadOnly(bounded(t), a); ro || super || err != nil {
			t.Errorf("half closed: %t %t %v", ro, super, err)
		}
		must(t, client, "UNLOCK TABLES")
	})
}

func TestWait(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, b := p.ends(t)
		client := app(t, p.a)
		for i := range 20 {
			if i%5 == 4 {
				must(t, a, "FLUSH BINARY LOGS") // the log's name changes under the reader's feet
			}
			if i%2 == 0 {
				must(t, client, fmt.Sprintf("INSERT INTO app.t (v) VALUES (%d)", i))
			}
			target, err := p.target(t, a)
			if err != nil {
				t.Fatal(err)
			}
			err = p.db.Wait(bounded(t), b, target)
			if later, _ := p.target(t, a); errors.Is(err, ErrTarget) && !later.Equal(target) {
				target = later // MariaDB notes a checkpoint in a new log some time after it was begun
				err = p.db.Wait(bounded(t), b, target)
			}
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := p.db.Applied(bounded(t), b, target); !ok || err != nil {
				t.Fatalf("applied %t %v", ok, err)
			}
		}
	})
}

func TestWaitByFileOnAnyPair(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, b := p.ends(t)
		must(t, app(t, p.a), "INSERT INTO app.t (v) VALUES (100)")
		target, err := p.da.BinlogPosition(bounded(t), a)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.db.Wait(bounded(t), b, target); err != nil {
			t.Fatal(err)
		}
		file, pos, _ := target.File()
		past := gtid.FilePos(file, pos+1000)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if err := p.db.Wait(ctx, b, past); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for what does not come: %v", err)
		}
	})
}

func TestWaitGivesUpWhenTheApplierIsStopped(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, b := p.ends(t)
		if err := p.db.StopReplica(bounded(t), b, "", ApplierThread); err != nil {
			t.Fatal(err)
		}
		must(t, app(t, p.a), "INSERT INTO app.t (v) VALUES (100)")
		target, err := p.target(t, a)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.db.Wait(bounded(t), b, target); !errors.Is(err, ErrApplierStopped) {
			t.Errorf("got %v", err)
		}
		if ok, err := p.db.Applied(bounded(t), b, target); ok || err != nil {
			t.Errorf("applied %t %v", ok, err)
		}
		if err := p.db.StartReplica(bounded(t), b, "", BothThreads); err != nil {
			t.Fatal(err)
		}
		p.level(t)
	})
}

func TestWaitRefusesForeignPositions(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		_, b := p.ends(t)
		foreign, err := gtid.ParseMariaDB("0-1-2")
		if p.db.Name() == "mariadb" {
			foreign, err = gtid.ParseMySQL("3e11fa47-71ca-11e1-9e33-c80aa9429562:1")
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range []gtid.Position{{}, foreign} {
			if err := p.db.Wait(bounded(t), b, target); !errors.Is(err, ErrTarget) {
				t.Errorf("Wait(%q): %v", target, err)
			}
		}
	})
}

func TestChangeSource(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, b := p.ends(t)
		var port int
		if _, err := fmt.Sscanf(p.a[strings.LastIndex(p.a, ":"):], ":%d", &port); err != nil {
			t.Fatal(err)
		}
		target, err := p.da.BinlogPosition(bounded(t), a)
		if err != nil {
			t.Fatal(err)
		}
		file, pos, _ := target.File()
		steps := []func() error{
			func() error { return p.db.StopReplica(bounded(t), b, "", BothThreads) },
			func() error { return p.db.ResetReplica(bounded(t), b, "") },
			func() error {
				return p.db.ChangeSource(bounded(t), b, Source{
					Host: "127.0.0.1", Port: port, User: mysqltest.ReplicationUser, Password: mysqltest.ReplicationPassword,
					GTID: p.gtid, File: file, Pos: pos, Heartbeat: time.Second, Retry: time.Second,
				})
			},
			func() error { return p.db.StartReplica(bounded(t), b, "", BothThreads) },
		}
		for i, step := range steps {
			if err := step(); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
		}
		must(t, app(t, p.a), "INSERT INTO app.t (v) VALUES (7)")
		for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			f, err := p.db.Observe(bounded(t), b)
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Links) == 1 && f.Links[0].Running() {
				break
			}
			if time.Since(begun) > 10*time.Second {
				t.Fatalf("the link does not run: %+v", f.Links)
			}
		}
		p.level(t)
	})
}

// What a server sets for everybody does not reach the sessions of the control account: there a backslash is quoted with
// another one, and a connection may wait for longer than a second.
func TestSessionOfItsOwn(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		r := root(t, p.a)
		must(t, r, "SET @mode = @@global.sql_mode, @wait = @@global.wait_timeout", "SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'", "SET GLOBAL wait_timeout = 1")
		t.Cleanup(func() { must(t, r, "SET GLOBAL sql_mode = @mode", "SET GLOBAL wait_timeout = @wait") })
		db, err := Open(p.a, Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		var text string
		var wait int
		if err := db.QueryRowContext(bounded(t), "SELECT "+literal(`a\b'c`)+", @@wait_timeout").Scan(&text, &wait); err != nil {
			t.Fatal(err)
		}
		if text != `a\b'c` || wait < 3600 {
			t.Errorf("the text arrived as %s, the server waits %d s", text, wait)
		}
	})
}

func TestSemiSync(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, _ := p.ends(t)
		s, err := p.da.SemiSync(bounded(t), a)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Available {
			if err := p.da.SetSemiSyncSource(bounded(t), a, false); err != nil {
				t.Errorf("off without the plugin: %v", err)
			}
			if err := p.da.SetSemiSyncSource(bounded(t), a, true); !errors.Is(err, ErrNoSemiSync) {
				t.Errorf("on without the plugin: %v", err)
			}
			must(t, root(t, p.a), "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'", "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'")
			t.Cleanup(func() {
				must(t, root(t, p.a), "UNINSTALL PLUGIN rpl_semi_sync_source", "UNINSTALL PLUGIN rpl_semi_sync_replica")
			})
		}
		if err := errors.Join(p.da.SetSemiSyncSource(bounded(t), a, true), p.da.SetSemiSyncReplica(bounded(t), a, true)); err != nil {
			t.Fatal(err)
		}
		on, err := p.da.SemiSync(bounded(t), a)
		if err != nil || !on.Available || !on.Source || !on.Replica || on.Timeout != 10*time.Second || on.Clients != 0 {
			t.Errorf("%+v %v", on, err)
		}
		if on.AfterSync != (p.da.Name() == "mysql") { // MariaDB's default is AFTER_COMMIT
			t.Errorf("%+v", on)
		}
		if err := errors.Join(p.da.SetSemiSyncSource(bounded(t), a, false), p.da.SetSemiSyncReplica(bounded(t), a, false)); err != nil {
			t.Fatal(err)
		}
		if off, err := p.da.SemiSync(bounded(t), a); err != nil || off.Source || off.Replica {
			t.Errorf("%+v %v", off, err)
		}
	})
}

func TestSchemaSQLCanBeRepeated(t *testing.T) {
	eachPair(t, func(t *testing.T, p *realPair) {
		a, _ := p.ends(t)
		must(t, a, SchemaSQL()...)
		must(t, a, SchemaSQL()...)
		p.level(t)
	})
}

// newer reports whether a server's version is major.minor or newer: old ones have no server_uid (MariaDB), no super_read_only.
func newer(version string, major, minor int) bool {
	r, ok := parseVersion(version)
	return ok && r.atLeast(major, minor, 0)
}
