package failover

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// session opens one connection of its own that bypasses the proxy.
func (c *cluster) session(server, user string) *sql.Conn {
	c.t.Helper()
	password, schema := map[string]string{"app": mysqltest.AppPassword, "root": mysqltest.RootPassword, "onewriter": mysqltest.ControlPassword}[user], "app"
	if user == mysqltest.ControlUser {
		schema = ""
	}
	conn, err := openDB(c.t, user, password, c.address(server), schema).Conn(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	return conn
}

func (c *cluster) on(conn *sql.Conn, statement string) {
	c.t.Helper()
	if _, err := conn.ExecContext(context.Background(), statement); err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
}

// rowTable makes a table with one row to fight for.
func (c *cluster) rowTable(primary string) {
	c.createTable(primary)
	c.asApp(primary, "INSERT INTO acks VALUES (1, @@server_id, 0)")
}

// killedIn lists the sessions that the fence of the last switchover killed.
func killedIn(ctl *Controller) []string {
	var out []string
	for _, e := range ctl.Journal().Events(0) {
		if e.Step != "fence" {
			continue
		}
		for k, v := range e.Evidence {
			if strings.HasPrefix(k, "killed") {
				out = append(out, v)
			}
		}
	}
	return out
}

// One client holds a row lock, a second one waits for it, and the fence waits for the second one: without help all
// three would stand still for innodb_lock_wait_timeout (50 s).
func TestFenceDeadlock(t *testing.T) { onPairs(t, testFenceDeadlock) }

func testFenceDeadlock(t *testing.T, c *cluster) {
	ctl, _ := c.start(nil)
	from := c.waitState(ctl, StateRunning).Primary
	c.rowTable(from)
	t1, t2 := c.session(from, "app"), c.session(from, "app")
	c.on(t1, "BEGIN")
	c.on(t1, "UPDATE acks SET epoch = 1 WHERE id = 1")
	ended := make(chan error, 1)
	go func() {
		_, err := t2.ExecContext(context.Background(), "UPDATE acks SET epoch = 2 WHERE id = 1")
		ended <- err
	}()
	time.Sleep(300 * time.Millisecond)
	r, err := ctl.Switchover(context.Background(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("pause %.1f ms, killed %v, T2 ended with %v", r.PauseMS, killedIn(ctl), <-ended)
	if r.PauseMS > 1000 || len(killedIn(ctl)) == 0 {
		t.Errorf("pause %.1f ms, killed %v", r.PauseMS, killedIn(ctl))
	}
	c.wantOnlyWritable(r.To)
	c.wantSameRows()
}

// An idle holder of LOCK TABLES ... WRITE keeps the fence waiting for ever.
func TestFenceLockTables(t *testing.T) { onPairs(t, testFenceLockTables) }

func testFenceLockTables(t *testing.T, c *cluster) {
	ctl, _ := c.start(nil)
	from := c.waitState(ctl, StateRunning).Primary
	c.rowTable(from)
	holder := c.session(from, "app")
	c.on(holder, "LOCK TABLES acks WRITE")
	c.on(holder, "INSERT INTO acks VALUES (2, @@server_id, 0)")
	r, err := ctl.Switchover(context.Background(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("pause %.1f ms, killed %v", r.PauseMS, killedIn(ctl))
	if r.PauseMS > 1000 || len(killedIn(ctl)) == 0 {
		t.Errorf("pause %.1f ms, killed %v", r.PauseMS, killedIn(ctl))
	}
	c.wantOnlyWritable(r.To)
	c.wantSameRows()
}

// A client with SUPER passes MariaDB's read_only: its session is ended before the target is read. MySQL's
// super_read_only stops it by itself.
func TestFencePrivilegedClient(t *testing.T) { onPairs(t, testFencePrivilegedClient) }

func testFencePrivilegedClient(t *testing.T, c *cluster) {
	ctl, _ := c.start(nil)
	from := c.waitState(ctl, StateRunning).Primary
	c.rowTable(from)
	super := c.session(from, "root")
	c.on(super, "BEGIN")
	c.on(super, "INSERT INTO acks VALUES (3, @@server_id, 0)")
	r, err := ctl.Switchover(context.Background(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = super.ExecContext(context.Background(), "COMMIT")
	t.Logf("pause %.1f ms, killed %v, COMMIT ended with: %v", r.PauseMS, killedIn(ctl), err)
	if err == nil {
		t.Error("the COMMIT of a privileged client passed the fence")
	}
	c.wantOnlyWritable(r.To)
	c.wantSameRows()
	if rows := c.rows(from); rows[3] != 0 {
		t.Error("the uncommitted row of the privileged client is there")
	}
}

// An idle transaction of an ordinary bypassing client does not hold the fence up; its COMMIT is refused and nothing
// of it is anywhere.
func TestFenceIdleTransaction(t *testing.T) { onPairs(t, testFenceIdleTransaction) }

func testFenceIdleTransaction(t *testing.T, c *cluster) {
	ctl, _ := c.start(nil)
	from := c.waitState(ctl, StateRunning).Primary
	c.rowTable(from)
	idle := c.session(from, "app")
	c.on(idle, "BEGIN")
	c.on(idle, "INSERT INTO acks VALUES (4, @@server_id, 0)")
	r, err := ctl.Switchover(context.Background(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idle.ExecContext(context.Background(), "COMMIT"); err == nil {
		t.Error("the COMMIT passed the fence")
	}
	c.wantOnlyWritable(r.To)
	c.wantSameRows()
	if rows := c.rows(r.To); rows[4] != 0 {
		t.Error("the row that was refused is there")
	}
}

// A blocker that may not be killed (a session of the control account) makes the fence fail in its budget. Nothing is
// left behind: when the blocker goes away the primary must not close itself late.
func TestFenceFailsAndLeavesNoZombie(t *testing.T) { onPairs(t, testFenceFailsAndLeavesNoZombie) }

func testFenceFailsAndLeavesNoZombie(t *testing.T, c *cluster) {
	ctl, _ := c.start(nil)
	from := c.waitState(ctl, StateRunning).Primary
	c.rowTable(from)
	holder := c.session(from, "onewriter")
	c.on(holder, "LOCK TABLES onewriter.heartbeat WRITE")
	begun := time.Now()
	_, err := ctl.Switchover(context.Background(), Request{})
	var aborted *AbortedError
	if !errors.As(err, &aborted) || aborted.Unresolved || aborted.Phase != "fence" {
		t.Fatalf("got %v, want an abort in step fence", err)
	}
	t.Logf("aborted after %s: %v", time.Since(begun).Round(time.Millisecond), aborted)
	c.on(holder, "UNLOCK TABLES")
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		c.wantOnlyWritable(from)
	}
	if s := ctl.Status(); s.State != StateRunning || s.Primary != from {
		t.Errorf("state %+v", s)
	}
	if _, err := ctl.Switchover(context.Background(), Request{}); err != nil {
		t.Errorf("the next switchover: %v", err)
	}
}

// A transaction that is open beyond the drain limit is ended with an error that says so; nothing else is.
func TestDrainEndsOnlyWhatIsOpen(t *testing.T) { onPairs(t, testDrainEndsOnlyWhatIsOpen) }

func testDrainEndsOnlyWhatIsOpen(t *testing.T, c *cluster) {
	c.limits.Drain = 200 * time.Millisecond
	ctl, _ := c.start(nil)
	from := c.waitState(ctl, StateRunning).Primary
	c.createTable(from)
	l := c.startLoad(4, time.Millisecond)
	long := make(chan error, 1)
	go func() { long <- c.longTransaction() }()
	time.Sleep(200 * time.Millisecond)
	r, err := ctl.Switchover(context.Background(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	var drained *DrainError
	if err := <-long; !errors.As(err, &drained) {
		t.Errorf("the long transaction got %v", err)
	}
	if len(r.SessionsClosed) != 1 || !strings.Contains(r.SessionsClosed[0].Reason, "still open after 200ms") {
		t.Errorf("closed %v", r.SessionsClosed)
	}
	acks, errs := l.stop()
	for _, err := range errs {
		t.Error(err)
	}
	c.wantEverywhere(acks)
	if rows := c.rows(r.To); rows[1<<40] != 0 {
		t.Error("the row of the ended transaction is there")
	}
}
