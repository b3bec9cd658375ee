package integration

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// victim is a session that is killed by the id in its handshake, which drivers keep to themselves.
type victim struct{ *raw }

// newVictim logs in through a listener.
func newVictim(t *testing.T, addr, user, password string) victim {
	t.Helper()
	return victim{loginRaw(t, addr, user, password)}
}

// sleep begins a long statement and returns when the server executes it.
func (v victim) sleep(server *mysqltest.Server, mark string) {
	v.t.Helper()
	v.send(append([]byte{wire.ComQuery}, "SELECT SLEEP(60) /* "+mark+" */"...)...)
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; n == 0; time.Sleep(10 * time.Millisecond) {
		q := "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%/* " + mark + " */'"
		if err := server.DB().QueryRow(q).Scan(&n); err != nil {
			v.t.Fatal(err)
		}
		if time.Now().After(deadline) {
			v.t.Fatal("the statement does not run")
		}
	}
}

// interrupted reads the answer to sleep: error 1317 from MariaDB, a row from MySQL. It comes long before its time.
func (v victim) interrupted() {
	v.t.Helper()
	v.limit()
	ends := 1
	if !v.offered.Has(wire.ClientDeprecateEOF) { // one is behind the definitions
		ends = 2
	}
	for {
		p := v.receive()
		if p[0] == 0xFE {
			ends--
		}
		if ends == 0 {
			return
		}
		if !wire.IsErr(p) {
			continue
		}
		if e, _ := wire.ParseErr(p); e.Code != 1317 {
			v.t.Errorf("the statement ended with %v", e)
		}
		return
	}
}

// serves checks that the session lives.
func (v victim) serves() {
	v.t.Helper()
	v.send(wire.ComPing)
	v.wantOK("ping")
}

// hungUp waits until the client's connection is closed.
func (v victim) hungUp() {
	v.t.Helper()
	v.limit()
	_, err := io.Copy(io.Discard, v.conn)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		v.t.Error("the killed session is not ended")
	}
}

// TestKill is about KILL of what a client calls by the id of its handshake.
func TestKill(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			extra := "    failover: {mode: manual, drain_timeout: 5s}\n"
			if f == mysqltest.MySQL {
				extra += "    server_compression: zlib\n" // the connections that kills are sent on have it, too
			}
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, extra)
			root := pair.Servers[0].DB()
			for _, q := range []string{
				"CREATE USER other IDENTIFIED BY 'other-secret'", "GRANT ALL ON app.* TO other",
				"CREATE USER killer IDENTIFIED BY 'killer-secret'", "GRANT CONNECTION ADMIN, PROCESS ON *.* TO killer",
			} {
				if f == mysqltest.MySQL {
					q = strings.ReplaceAll(q, "CONNECTION ADMIN, PROCESS", "CONNECTION_ADMIN, PROCESS")
					if strings.Contains(q, "CONNECTION_ADMIN") {
						mustExec(t, root, "GRANT PROCESS ON *.* TO killer")
						q = "GRANT CONNECTION_ADMIN ON *.* TO killer"
						if !pair.Servers[0].AtLeast(8, 0) {
							q = "GRANT SUPER ON *.* TO killer"
						}
					}
				}
				mustExec(t, root, q)
			}
			k := killing{f, pair, o}
			k.advance(t)
			t.Run("before a move", k.direct)
			t.Run("rights", k.rights)
			t.Run("users", k.users)
			t.Run("client", k.ctrlC)
			t.Run("across listeners", k.across)
			t.Run("after a move", k.moved)
			t.Run("several statements", k.several)
			t.Run("prepared", k.prepared)
			t.Run("ambiguous", k.ambiguous)
			t.Run("itself", k.itself)
			t.Run("operator", k.operator)
			t.Run("held", k.held)
		})
	}
}

type killing struct {
	f    mysqltest.Flavor
	pair *mysqltest.Pair
	o    *onewriter
}

// advance takes the ids of the first server away from those of the second.
func (k killing) advance(t *testing.T) {
	t.Helper()
	for range 100 {
		k.lastID(t, k.pair.Servers[0])
	}
}

// lastID is the id of a connection that the server has just given and taken back.
func (k killing) lastID(t *testing.T, s *mysqltest.Server) uint32 {
	t.Helper()
	v := directly(t, s)
	_ = v.conn.Close()
	return v.id
}

// directly logs in at a server.
func directly(t *testing.T, s *mysqltest.Server) victim {
	t.Helper()
	return newVictim(t, s.Addr(), "app", "app-secret")
}

// primary is the server of that role.
func (k killing) primary(t *testing.T) *mysqltest.Server {
	t.Helper()
	if k.o.status().Primary == "b" {
		return k.pair.Servers[1]
	}
	return k.pair.Servers[0]
}

// known reports whether the servers know COM_PROCESS_KILL, which MySQL 9 has forgotten.
func (k killing) known() bool {
	return k.f == mysqltest.MariaDB || !k.pair.Servers[0].AtLeast(8, 0)
}

func (k killing) direct(t *testing.T) {
	db := open(t, k.o.primary, "")
	v := newVictim(t, k.o.primary, "app", "app-secret")
	for i, q := range []string{"KILL QUERY %d", "/* x */ kill query 0x%x;", "KILL QUERY '%d'", "KILL SOFT QUERY %d"} {
		if k.f == mysqltest.MySQL && i == 3 {
			continue
		}
		v.sleep(k.primary(t), fmt.Sprintf("direct %d", i))
		mustExec(t, db, fmt.Sprintf(q, v.id))
		v.interrupted()
		v.serves()
	}
	mustExec(t, db, fmt.Sprintf("KILL %d", v.id))
	v.hungUp()
	k.o.eventually(20*time.Second, "the id is unknown", func() error { // the server takes a moment to forget it, too
		_, err := db.Exec(fmt.Sprintf("KILL %d", v.id))
		if me := (*mysql.MySQLError)(nil); errors.As(err, &me) && me.Number == 1094 {
			return nil
		}
		return fmt.Errorf("killed again: %w", err)
	})
	v = newVictim(t, k.o.primary, "app", "app-secret")
	killer := dialRaw(t, k.o.primary)
	killer.send(binary.LittleEndian.AppendUint32([]byte{wire.ComProcessKill}, v.id)...)
	if p := killer.receive(); k.known() && p[0] == wire.HeaderOK {
		v.hungUp()
	} else if e, err := wire.ParseErr(p); k.known() || err != nil || e.Code != 1047 { // MySQL 9 has forgotten the command
		t.Errorf("COM_PROCESS_KILL: %q", p)
	} else {
		v.serves()
	}
	for i := range 10 { // the server may hang up before it answers the one who kills
		v = newVictim(t, k.o.primary, "app", "app-secret")
		v.sleep(k.primary(t), fmt.Sprintf("direct kill %d", i))
		mustExec(t, db, fmt.Sprintf("KILL CONNECTION %d", v.id))
		v.limit()
		if b, err := io.ReadAll(v.conn); err != nil && !errors.Is(err, syscall.ECONNRESET) || bytes.Contains(b, []byte("onewriter:")) {
			t.Errorf("the killed session hears %q, %v", b, err)
		}
	}
}

// users is about KILL USER of MariaDB.
func (k killing) users(t *testing.T) {
	if k.f != mysqltest.MariaDB {
		return
	}
	killer, err := sql.Open("mysql", "killer:killer-secret@tcp("+k.o.primary+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = killer.Close() }()
	powerless := open(t, k.o.primary, "")
	for i, q := range []string{"KILL USER other", "KILL HARD USER 'other'@'%'", "KILL SOFT CONNECTION USER `other`"} {
		idle := newVictim(t, k.o.primary, "other", "other-secret")
		busy := newVictim(t, k.o.primary, "other", "other-secret")
		bystander := newVictim(t, k.o.primary, "app", "app-secret")
		_, _ = powerless.Exec(q) // not every version says that it has no right to it
		idle.serves()
		busy.sleep(k.primary(t), fmt.Sprintf("users %d", i))
		mustExec(t, killer, q)
		idle.hungUp()
		busy.limit()
		if b, err := io.ReadAll(busy.conn); err != nil && !errors.Is(err, syscall.ECONNRESET) || bytes.Contains(b, []byte("onewriter:")) {
			t.Errorf("%s: the busy session hears %q, %v", q, b, err)
		}
		bystander.serves()
	}
	v := newVictim(t, k.o.primary, "other", "other-secret")
	v.sleep(k.primary(t), "users query")
	mustExec(t, killer, "KILL QUERY USER other")
	v.interrupted()
	v.serves()
}

func (k killing) rights(t *testing.T) {
	v := newVictim(t, k.o.primary, "app", "app-secret")
	other, err := sql.Open("mysql", "other:other-secret@tcp("+k.o.primary+")/app")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	_, err = other.Exec(fmt.Sprintf("KILL %d", v.id))
	wantCode(t, err, 1095)
	_, err = other.Exec("KILL 1999999999")
	wantCode(t, err, 1094)
	v.serves()
}

// ctrlC interrupts the clients of both vendors: they log in a second time and kill by the id of the handshake.
func (k killing) ctrlC(t *testing.T) {
	tried := map[string]bool{}
	for _, name := range []string{"mysql", "mariadb"} {
		path, err := exec.LookPath(name)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil || tried[path] {
			continue
		}
		tried[path] = true
		host, port, _ := strings.Cut(k.o.primary, ":")
		args := []string{"--no-defaults", "-h", host, "-P", port, "-uapp", "-papp-secret", "--protocol=tcp", "app"}
		if strings.Contains(path, "mariadb") {
			args = append(args[:1:1], append([]string{"--skip-ssl"}, args[1:]...)...)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		cmd := exec.CommandContext(ctx, path, append(args, "-e", "SELECT SLEEP(60), 'ctrl-c "+name+"'")...)
		out := &logBuffer{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running := func() error {
			var n int
			q := "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%ctrl-c " + name + "%'"
			if err := k.primary(t).DB().QueryRow(q).Scan(&n); err != nil || n == 0 {
				return fmt.Errorf("%d statements, %w: %s", n, err, out)
			}
			return nil
		}
		k.o.eventually(20*time.Second, name+" runs", running)
		_ = cmd.Process.Signal(os.Interrupt)
		k.o.eventually(20*time.Second, name+" is interrupted", func() error {
			if err := running(); err == nil {
				return errors.New("it still runs: " + out.String())
			}
			return nil
		})
		_ = cmd.Wait()
		cancel()
	}
}

// across kills sessions of the primary's listener through the standby's, and the other way round.
func (k killing) across(t *testing.T) {
	for _, way := range []struct{ victim, killer string }{{k.o.primary, k.o.strict}, {k.o.strict, k.o.primary}} {
		server := k.primary(t)
		if way.victim == k.o.strict {
			server = k.standby(t)
		}
		db := open(t, way.killer, "")
		v := k.unambiguous(t, way.victim, "app", "app-secret")
		v.sleep(server, "across")
		mustExec(t, db, fmt.Sprintf("KILL QUERY %d", v.id))
		v.interrupted()
		v.serves()
		other, err := sql.Open("mysql", "other:other-secret@tcp("+way.killer+")/app")
		if err != nil {
			t.Fatal(err)
		}
		_, err = other.Exec(fmt.Sprintf("KILL %d", v.id))
		wantCode(t, err, 1095)
		_ = other.Close()
		v.serves()
		mustExec(t, db, fmt.Sprintf("KILL %d", v.id))
		v.hungUp()
	}
}

// unambiguous is a victim whose id no server has given to another connection that lives.
func (k killing) unambiguous(t *testing.T, addr, user, password string) victim {
	t.Helper()
	for range 50 {
		v := newVictim(t, addr, user, password)
		total := 0
		for _, s := range k.pair.Servers {
			var n int
			if err := s.DB().QueryRow("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = ?", v.id).Scan(&n); err != nil {
				t.Fatal(err)
			}
			total += n
		}
		if total == 1 {
			return v
		}
	}
	t.Fatal("every id is taken on the other server, too")
	return victim{}
}

func (k killing) moved(t *testing.T) {
	app, other := k.unambiguous(t, k.o.primary, "app", "app-secret"), k.unambiguous(t, k.o.primary, "other", "other-secret")
	idle, own := k.unambiguous(t, k.o.primary, "other", "other-secret"), k.unambiguous(t, k.o.primary, "app", "app-secret")
	k.o.mustSwitch("{}")
	db := open(t, k.o.primary, "")
	app.sleep(k.primary(t), "moved")
	mustExec(t, db, fmt.Sprintf("KILL QUERY %d", app.id))
	app.interrupted()
	app.serves()
	other.serves()
	_, err := db.Exec(fmt.Sprintf("KILL %d", other.id))
	wantCode(t, err, 1095)
	other.serves()
	// A session that has not needed a server since the move.
	_, err = db.Exec(fmt.Sprintf("KILL %d", idle.id))
	wantCode(t, err, 1094)
	mustExec(t, db, fmt.Sprintf("KILL %d", own.id))
	own.hungUp()
	killer, err := sql.Open("mysql", "killer:killer-secret@tcp("+k.o.primary+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = killer.Close() }()
	other.sleep(k.primary(t), "moved other")
	mustExec(t, killer, fmt.Sprintf("KILL %d", other.id))
	other.hungUp()
	// What CONNECTION_ID() says after the move names the session as well, also on the other server.
	id := app.text("SELECT CONNECTION_ID()")[0]
	app.sleep(k.primary(t), "moved again")
	mustExec(t, db, "KILL QUERY "+id)
	app.interrupted()
	app.send(wire.ComProcessKill, byte(app.id), byte(app.id>>8), byte(app.id>>16), byte(app.id>>24))
	if !k.known() {
		if p := app.receive(); !wire.IsErr(p) {
			t.Errorf("COM_PROCESS_KILL: %q", p)
		}
		app.serves()
		return
	}
	app.hungUp()
}

// several is for KILL as the first of several statements.
func (k killing) several(t *testing.T) {
	db := open(t, k.o.primary, "multiStatements=true")
	old := k.unambiguous(t, k.o.primary, "app", "app-secret")
	k.o.mustSwitch("{}")
	standby := k.unambiguous(t, k.o.strict, "app", "app-secret")
	caps := matrixBase
	if k.f == mysqltest.MySQL {
		caps |= wire.ClientMySQL
	}
	for name, c := range map[string]struct {
		victim victim
		server *mysqltest.Server
	}{
		"fresh":            {k.unambiguous(t, k.o.primary, "app", "app-secret"), k.primary(t)},
		"moved":            {old, k.primary(t)},
		"on the other one": {standby, k.standby(t)},
		"not ours":         {directly(t, k.primary(t)), k.primary(t)},
	} {
		c.victim.sleep(c.server, "several "+name)
		mustExec(t, db, fmt.Sprintf("KILL QUERY %d; DO 1", c.victim.id))
		c.victim.interrupted()
		c.victim.serves()
		killer := loginWith(t, k.o.primary, "app", "app-secret", caps)
		killer.send(killer.query(fmt.Sprintf("/* x */ kill %d ; SELECT SLEEP(60)", c.victim.id))...)
		c.victim.hungUp() // while the second statement runs
		if p := killer.next(); p.payload[0] != wire.HeaderOK {
			t.Errorf("%s: the answer to KILL is %q", name, p.payload)
		}
		mustExec(t, db, fmt.Sprintf("KILL QUERY %d", killer.raw.id))
		victim{killer.raw}.interrupted()
	}
	_, err := db.Exec("KILL 1999999999; DO 1")
	wantCode(t, err, 1094)
	one := open(t, k.o.primary, "")
	v := k.unambiguous(t, k.o.strict, "app", "app-secret")
	_, err = one.Exec(fmt.Sprintf("KILL %d; DO 1", v.id)) // the connection takes one statement only
	wantCode(t, err, 1064)
	v.serves()
}

// standby is the other one.
func (k killing) standby(t *testing.T) *mysqltest.Server {
	t.Helper()
	if k.primary(t) == k.pair.Servers[1] {
		return k.pair.Servers[0]
	}
	return k.pair.Servers[1]
}

// held kills statements that wait for the end of a switchover, which an open transaction keeps up.
func (k killing) held(t *testing.T) {
	v := newVictim(t, k.o.primary, "app", "app-secret")
	db := open(t, k.o.primary, "")
	mustExec(t, db, "CREATE TABLE waited (id INT PRIMARY KEY)")
	killer, writer := pinnedConn(t, db), pinnedConn(t, db)
	execOn(t, writer, "BEGIN")
	execOn(t, writer, "INSERT INTO waited VALUES (1)")
	others := make(chan error, 1)
	switched := make(chan moved, 1)
	go func() {
		for len(switched) == 0 {
			if _, err := db.Exec("DELETE FROM waited WHERE id > 1"); err != nil {
				others <- err
				return
			}
		}
		others <- nil
	}()
	go func() { switched <- k.o.switchover("{}") }()
	waiting := func(n float64) {
		t.Helper()
		k.o.eventually(20*time.Second, "statements wait", func() error {
			if held := k.o.metric(`onewriter_sessions_held{cluster="test"}`); held != n {
				return fmt.Errorf("%v wait, want %v", held, n)
			}
			return nil
		})
	}
	waiting(1)
	v.send(append([]byte{wire.ComQuery}, "INSERT INTO waited VALUES (2)"...)...)
	waiting(2)
	execOn(t, killer, fmt.Sprintf("KILL QUERY %d", v.id))
	if e, err := wire.ParseErr(v.receive()); err != nil || e.Code != 1317 {
		t.Errorf("the statement ended with %v, %v", e, err)
	}
	v.send(append([]byte{wire.ComQuery}, "INSERT INTO waited VALUES (2)"...)...)
	waiting(2)
	execOn(t, killer, fmt.Sprintf("KILL %d", v.id))
	v.hungUp()
	execOn(t, writer, "COMMIT")
	if err := <-others; err != nil {
		t.Errorf("another session: %v", err)
	}
	if m := <-switched; m.Outcome != "completed" {
		t.Errorf("switchover: %+v", m)
	}
	var n int
	if err := db.QueryRow("SELECT COUNT(*) FROM waited").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// prepared is for KILL with the id as a parameter. MySQL 9 does not prepare that.
func (k killing) prepared(t *testing.T) {
	if !k.known() {
		_, err := open(t, k.o.primary, "").Exec("KILL QUERY ?", 1)
		wantCode(t, err, 6413)
		return
	}
	v := k.unambiguous(t, k.o.primary, "app", "app-secret")
	db := open(t, k.o.primary, "")
	for i, id := range []any{v.id, fmt.Sprint(v.id)} {
		v.sleep(k.primary(t), fmt.Sprint("prepared", i))
		mustExec(t, db, "KILL QUERY ?", id)
		v.interrupted()
		v.serves() // it may have a transaction open before
	}
	k.o.mustSwitch("{}")
	v.sleep(k.primary(t), "prepared, moved")
	mustExec(t, db, "KILL QUERY ?", v.id)
	v.interrupted()
	mustExec(t, db, "KILL ?", v.id)
	v.hungUp()
}

// ambiguous kills by an id that the killer's server has given to somebody else.
func (k killing) ambiguous(t *testing.T) {
	a := newVictim(t, k.o.primary, "app", "app-secret")
	standby := k.standby(t)
	for id := k.lastID(t, standby); a.id <= id; a = newVictim(t, k.o.primary, "app", "app-secret") {
		_ = a.conn.Close()
		k.lastID(t, k.primary(t))
	}
	// Now the standby gives ids until one is that of a. The checks of the servers take some.
	foreign := directly(t, standby)
	for n := 0; foreign.id != a.id; n++ {
		_ = foreign.conn.Close()
		if foreign.id > a.id {
			_ = a.conn.Close()
			a = newVictim(t, k.o.primary, "app", "app-secret")
		}
		if n == 3000 {
			t.Fatalf("the primary is at %d, the standby at %d", a.id, foreign.id)
		}
		foreign = directly(t, standby)
	}
	_, err := open(t, k.o.strict, "").Exec(fmt.Sprintf("KILL %d", a.id))
	wantCode(t, err, 1094)
	if me := (*mysql.MySQLError)(nil); errors.As(err, &me) && !strings.Contains(me.Message, "ambiguous") {
		t.Errorf("the error does not say why: %v", err)
	}
	a.serves()
	foreign.serves()
}

// itself ends its own session.
func (k killing) itself(t *testing.T) {
	v := newVictim(t, k.o.primary, "app", "app-secret")
	v.send(append([]byte{wire.ComQuery}, fmt.Sprintf("KILL %d", v.id)...)...)
	if p := v.receive(); !wire.IsErr(p) {
		t.Errorf("the answer is %q", p)
	}
	v.hungUp()
}

// operator ends sessions from the command line.
func (k killing) operator(t *testing.T) {
	v := newVictim(t, k.o.primary, "other", "other-secret")
	v.sleep(k.primary(t), "operator")
	k.o.run(0, []string{"sessions"}, fmt.Sprint(v.id), "other")
	k.o.run(0, []string{"kill", fmt.Sprint(v.id)}, fmt.Sprint(v.id))
	v.hungUp()
	k.o.eventually(20*time.Second, "the statement ends", func() error {
		var n int
		err := k.primary(t).DB().QueryRow("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%/* operator */'").Scan(&n)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d run", n)
		}
		return err
	})
	k.o.run(1, []string{"kill", fmt.Sprint(v.id)}, "no client")
}
