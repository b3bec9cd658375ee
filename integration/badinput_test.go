package integration

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

const shortLimits = "    limits: {hold_timeout: 1s, handshake_timeout: 2s}\n"

// TestBadClients is about clients that do something wrong, or nothing.
func TestBadClients(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, shortLimits)
			mustExec(t, pair.Servers[0].DB(), "CREATE DATABASE forbidden")
			t.Run("logins", func(t *testing.T) { badLogins(t, pair, o) })
			t.Run("garbage", func(t *testing.T) { garbage(t, o) })
			t.Run("hanging", func(t *testing.T) { hanging(t, o) })
			t.Run("switchover requests", func(t *testing.T) { badRequests(t, o) })
			t.Run("broken replication", func(t *testing.T) { brokenReplication(t, f, pair, o) })
		})
	}
}

// badLogins compares every refusal with the server's own.
func badLogins(t *testing.T, pair *mysqltest.Pair, o *onewriter) {
	for _, c := range []struct{ name, user, password, schema string }{
		{"wrong password", mysqltest.AppUser, "wrong", "app"},
		{"no password", mysqltest.AppUser, "", "app"},
		{"unknown user", "nobody", "x", "app"},
		{"forbidden schema", mysqltest.AppUser, mysqltest.AppPassword, "forbidden"},
		{"unknown schema", mysqltest.AppUser, mysqltest.AppPassword, "app_nowhere"},
		{"unknown schema of root", "root", mysqltest.RootPassword, "nowhere"},
	} {
		want := openAs(t, c.user, c.password, pair.Servers[0].Addr(), c.schema, "").Ping()
		for _, params := range []string{"", "tls=skip-verify"} {
			got := openAs(t, c.user, c.password, o.primary, c.schema, params).Ping()
			if want == nil || got == nil || got.Error() != want.Error() {
				t.Errorf("%s (%s): got %v, the server itself says %v", c.name, params, got, want)
			}
		}
	}
	if err := open(t, o.primary, "").Ping(); err != nil {
		t.Errorf("after the bad logins: %v", err)
	}
}

// works checks that an ordinary client is served at once.
func works(t *testing.T, o *onewriter) {
	t.Helper()
	began := time.Now()
	if err := open(t, o.primary, "").Ping(); err != nil {
		t.Errorf("an ordinary client: %v", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("an ordinary client had to wait %s", took)
	}
}

// ended reads until the other side closes and reports when that was.
func ended(t *testing.T, conn net.Conn, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	_ = conn.SetReadDeadline(began.Add(limit))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open after %s", limit)
	}
	return time.Since(began)
}

func garbage(t *testing.T, o *onewriter) {
	random := make([]byte, 4096)
	_, _ = rand.Read(random)
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"random bytes", random},
		{"a packet of 16 MB announced", append([]byte{0xff, 0xff, 0xff, 1}, random...)},
		{"an empty packet", []byte{0, 0, 0, 1}},
		{"zeros", make([]byte, 100)},
		{"a TLS request and no TLS", append([]byte{32, 0, 0, 1, 0x85, 0xae, 0xff, 0, 0, 0, 0, 1, 45}, bytes.Repeat([]byte{0}, 23)...)},
	} {
		conn, err := net.Dial("tcp", o.primary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(c.data); err != nil {
			t.Logf("%s: %v", c.name, err)
		}
		ended(t, conn, 5*time.Second)
		_ = conn.Close()
	}
	r := dialRaw(t, o.primary) // garbage after the login
	if _, err := r.conn.Write(append([]byte{4, 0, 0, 0, 0xee}, random...)); err != nil {
		t.Fatal(err)
	}
	ended(t, r.conn, 5*time.Second)
	works(t, o)
}

func hanging(t *testing.T, o *onewriter) {
	conns := make([]net.Conn, 20)
	for i := range conns {
		conn, err := net.Dial("tcp", o.primary)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if i > 0 {
			_, _ = conn.Write([]byte{200, 0, 0, 1, 0x85}) // 5 bytes of a login
		}
		conns[i] = conn
	}
	works(t, o)
	began := time.Now()
	for _, conn := range conns {
		ended(t, conn, 6*time.Second)
	}
	if took := time.Since(began); took > 5*time.Second || took < time.Second {
		t.Errorf("hanging logins ended after %s, the handshake timeout is 2s", took)
	}
	works(t, o)
}

func badRequests(t *testing.T, o *onewriter) {
	before := o.status()
	for body, want := range map[string]int{
		`{"to": "nowhere"}`: http.StatusConflict, `{"to": "a"}`: http.StatusConflict,
		`{"to": 1}`: http.StatusBadRequest, `nonsense`: http.StatusBadRequest, `{"too": "b"}`: http.StatusBadRequest,
	} {
		m := o.switchover(body)
		if m.Status != want || (want == http.StatusConflict && len(m.Reasons) == 0) {
			t.Errorf("%s: %d %q, want %d", body, m.Status, m.Reasons, want)
		}
	}
	if after := o.status(); after.Epoch != before.Epoch || after.Primary != before.Primary || after.State != "running" {
		t.Errorf("refused requests changed the cluster: %+v to %+v", before, after)
	}
	works(t, o)
}

// brokenReplication makes the applier stumble over a row that somebody wrote on the standby.
func brokenReplication(t *testing.T, f mysqltest.Flavor, pair *mysqltest.Pair, o *onewriter) {
	db := open(t, o.primary, "")
	mustExec(t, db, "CREATE TABLE broken (id INT PRIMARY KEY)")
	standby := pinnedConn(t, pair.Servers[1].DB())
	start, open := "START SLAVE", "SET GLOBAL read_only=0"
	closed := "SET GLOBAL read_only=1"
	if f == mysqltest.MySQL {
		start, open, closed = "START REPLICA", "SET GLOBAL super_read_only=0", "SET GLOBAL super_read_only=1"
	}
	o.eventually(5*time.Second, "the table is replicated", func() error {
		_, err := pair.Servers[1].DB().Exec("SELECT 1 FROM app.broken")
		return err
	})
	execOn(t, standby, "SET SESSION sql_log_bin=0")
	if f == mysqltest.MySQL {
		execOn(t, standby, open)
	}
	execOn(t, standby, "INSERT INTO app.broken VALUES (1)")
	if f == mysqltest.MySQL {
		execOn(t, standby, closed)
	}
	mustExec(t, db, "INSERT INTO broken VALUES (1)")
	before := o.status()
	o.eventually(10*time.Second, "the switchover is refused with the error", func() error {
		m := o.switchover("{}")
		if text := strings.Join(m.Reasons, " "); m.Status != http.StatusConflict || !strings.Contains(text, "1062") {
			return fmt.Errorf("%d %q", m.Status, m.Reasons)
		}
		return nil
	})
	if after := o.status(); after.Epoch != before.Epoch || after.Primary != before.Primary {
		t.Errorf("the refused switchover changed the cluster: %+v to %+v", before, after)
	}
	mustExec(t, db, "INSERT INTO broken VALUES (2)")
	o.eventually(5*time.Second, "the standby's problem is shown", func() error {
		for _, s := range o.status().Servers {
			if s.Name == "b" && !s.Healthy && strings.Contains(strings.Join(s.Problems, " "), "1062") {
				return nil
			}
		}
		return fmt.Errorf("%+v", o.status().Servers)
	})
	if f == mysqltest.MySQL {
		execOn(t, standby, open)
	}
	execOn(t, standby, "DELETE FROM app.broken")
	if f == mysqltest.MySQL {
		execOn(t, standby, closed)
	}
	execOn(t, standby, start)
	o.eventually(10*time.Second, "the repaired standby is accepted", func() error {
		if m := o.switchover("{}"); m.Status != http.StatusOK {
			return fmt.Errorf("%d %q", m.Status, m.Reasons)
		}
		return nil
	})
}

// unready waits until the cluster is in the state and not ready, and gives the reasons.
func (o *onewriter) unready(state string) string {
	o.t.Helper()
	o.eventually(10*time.Second, "the state is "+state, func() error {
		if code, body := o.get("/readyz"); code != http.StatusServiceUnavailable {
			return fmt.Errorf("readyz is %d %s", code, body)
		}
		if st := o.status(); st.State != state || st.Primary != "" {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	return strings.Join(o.status().Reasons, " ")
}

// noWrites checks that no client gets through, and is told why.
func noWrites(t *testing.T, o *onewriter) {
	t.Helper()
	err := open(t, o.primary, "").Ping()
	wantCode(t, err, 1290)
}

// TestStart is about what onewriter finds when it starts.
func TestStart(t *testing.T) {
	mysqltest.RequireFlavor(t, mysqltest.MariaDB)
	pair, err := mysqltest.StartPair(t.Context(), mysqltest.PairOptions{Flavor: mysqltest.MariaDB, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pair.Close() })
	a, b := pair.Servers[0], pair.Servers[1]
	launch := func(t *testing.T, addrs ...string) *onewriter {
		o := configure(t, shortLimits, addrs...)
		o.start()
		return o
	}
	setReadOnly := func(s *mysqltest.Server, on bool) {
		if err := s.SetReadOnly(t.Context(), on); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("unreachable server of a new cluster", func(t *testing.T) {
		o := launch(t, a.Addr(), freeAddr(t))
		if reasons := o.unready("no_primary"); !strings.Contains(reasons, "b") || !strings.Contains(reasons, "refused") {
			t.Errorf("reasons: %s", reasons)
		}
		noWrites(t, o)
	})
	t.Run("no server reachable", func(t *testing.T) {
		o := launch(t, freeAddr(t), freeAddr(t))
		if reasons := o.unready("no_primary"); !strings.Contains(reasons, "No server of the cluster answers") {
			t.Errorf("reasons: %s", reasons)
		}
		noWrites(t, o)
	})
	t.Run("wrong password of the control account", func(t *testing.T) {
		o := configure(t, shortLimits+"    control: {user: onewriter, password: wrong}\n", a.Addr(), b.Addr())
		o.start()
		want := "the control account was turned away by a and b: check control.user and control.password"
		if reasons := o.unready("no_primary"); !strings.Contains(reasons, want) || !strings.Contains(reasons, "1045") {
			t.Errorf("reasons: %s", reasons)
		}
		if out, err := exec.Command(executable, "setup", "--config", o.config).CombinedOutput(); err == nil || !strings.Contains(string(out), "was turned away by a and b: check") {
			t.Errorf("setup: %v\n%s", err, out)
		}
		noWrites(t, o)
	})
	t.Run("none writable", func(t *testing.T) {
		setReadOnly(a, true)
		o := launch(t, a.Addr(), b.Addr())
		if reasons := o.unready("no_primary"); !strings.Contains(reasons, "SET GLOBAL read_only=0") {
			t.Errorf("no fix in the reasons: %s", reasons)
		}
		noWrites(t, o)
		setReadOnly(a, false) // as told
		o.ready()
		works(t, o)
	})
	t.Run("both writable", func(t *testing.T) {
		setReadOnly(b, false)
		o := launch(t, a.Addr(), b.Addr())
		if reasons := o.unready("split"); !strings.Contains(reasons, "a and b are writable") || !strings.Contains(reasons, "SET GLOBAL read_only=1") {
			t.Errorf("reasons: %s", reasons)
		}
		noWrites(t, o)
		setReadOnly(b, true) // as told
		o.ready()
		works(t, o)
		o.mustSwitch("{}")
		o.mustSwitch("{}")
	})
	t.Run("one server", func(t *testing.T) {
		o := launch(t, a.Addr())
		o.ready()
		mustExec(t, open(t, o.primary, ""), "CREATE TABLE alone (id INT)")
		if m := o.switchover("{}"); m.Status != http.StatusConflict || len(m.Reasons) == 0 {
			t.Errorf("switchover: %+v", m)
		}
		works(t, o)
	})
	t.Run("unreachable standby of a known cluster", func(t *testing.T) {
		o := launch(t, a.Addr(), b.Addr())
		o.ready()
		if err := errors.Join(o.process.Stop(20*time.Second), b.Stop(t.Context())); err != nil {
			t.Fatal(err)
		}
		forgetful := launch(t, a.Addr(), b.Addr()) // without the state file b may be the primary
		if reasons := forgetful.unready("no_primary"); !strings.Contains(reasons, "nothing is stored about this cluster") {
			t.Errorf("reasons: %s", reasons)
		}
		noWrites(t, forgetful)
		forgetful.process.Kill()
		o.start()
		o.ready()
		mustExec(t, open(t, o.primary, ""), "CREATE TABLE with_one (id INT)")
		if m := o.switchover("{}"); m.Status != http.StatusConflict || !strings.Contains(strings.Join(m.Reasons, " "), "refused") {
			t.Errorf("switchover: %+v", m)
		}
		// It comes back writable, as the configuration of many servers has it: it must not stay so.
		if err := b.Restart(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		o.eventually(20*time.Second, "the standby is closed and follows", func() error {
			if m := o.switchover(`{"dry_run": true}`); m.Status != http.StatusOK {
				return fmt.Errorf("%d %q", m.Status, m.Reasons)
			}
			return readOnly(b.DB())
		})
		works(t, o)
	})
}

func readOnly(db *sql.DB) error {
	var on bool
	if err := db.QueryRow("SELECT @@read_only").Scan(&on); err != nil {
		return err
	}
	if !on {
		return errors.New("the server is writable")
	}
	return nil
}

// exit runs serve to its end and gives exit code and output.
func (o *onewriter) exit(limit time.Duration) (int, string) {
	o.t.Helper()
	o.start()
	select {
	case <-o.process.Done():
		if ee := (*exec.ExitError)(nil); errors.As(o.process.Err(), &ee) {
			return ee.ExitCode(), o.process.Output()
		}
		return 0, o.process.Output()
	case <-time.After(limit):
		o.t.Fatalf("still running after %s", limit)
		return 0, ""
	}
}

// TestRefusalToStart is about mistakes that end the program at once, with what to do about them.
func TestRefusalToStart(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run("control account without rights on "+f.String(), func(t *testing.T) {
			mysqltest.RequireFlavor(t, f)
			s, err := mysqltest.Start(t.Context(), mysqltest.Options{Flavor: f, Fast: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			mustExec(t, s.DB(), "CREATE USER 'weak'@'%' IDENTIFIED BY 'weak-secret'")
			for _, q := range mysqltest.ControlGrants(f, "'weak'@'%'") {
				if !strings.Contains(q, "ON onewriter.*") {
					mustExec(t, s.DB(), q)
				}
			}
			mustExec(t, s.DB(), "CREATE USER 'weakest'@'%' IDENTIFIED BY 'weak-secret'")
			for _, user := range []string{"weak", "weakest"} {
				o := configure(t, "    control: {user: "+user+", password: weak-secret}\n", s.Addr())
				code, out := o.exit(30 * time.Second)
				if code != 1 || !strings.Contains(out, "GRANT ") || !strings.Contains(out, "CREATE DATABASE") || !strings.Contains(out, user) {
					t.Errorf("%s: exit code %d: %s", user, code, out)
				}
			}
		})
	}
	t.Run("bad configuration", func(t *testing.T) {
		o := configure(t, "    failovr: {mode: manual}\n    limits: {hold_timeout: soon}\n", "127.0.0.1:1")
		code, out := o.exit(10 * time.Second)
		if code != 1 || !strings.Contains(out, "failovr") || !strings.Contains(out, "hold_timeout") || !strings.Contains(out, "onewriter.yaml:") {
			t.Errorf("exit code %d: %s", code, out)
		}
	})
	t.Run("no configuration", func(t *testing.T) {
		o := configure(t, "", "127.0.0.1:1")
		o.config += ".missing"
		if code, out := o.exit(10 * time.Second); code != 1 || !strings.Contains(out, ".missing") {
			t.Errorf("exit code %d: %s", code, out)
		}
	})
	t.Run("port in use", func(t *testing.T) {
		for _, which := range []string{"listener", "admin"} {
			o := configure(t, "", "127.0.0.1:1")
			addr := o.primary
			if which == "admin" {
				addr = o.admin
			}
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			code, out := o.exit(10 * time.Second)
			_ = l.Close()
			if code != 1 || !strings.Contains(out, addr) || !strings.Contains(out, "in use") {
				t.Errorf("%s: exit code %d: %s", which, code, out)
			}
		}
	})
}
