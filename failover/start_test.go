package failover

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// byHand sets the flag, as an operator would.
func (c *cluster) byHand(server string, readOnly bool) {
	c.t.Helper()
	value := "0"
	if readOnly {
		value = "1"
	}
	c.exec(server, "SET GLOBAL read_only="+value)
}

func (c *cluster) other(name string) string {
	for _, s := range c.servers {
		if s.Name != name {
			return s.Name
		}
	}
	return ""
}

// Both servers writable and nothing stored: nobody may be written to, and the reasons say how to get out of it.
func TestStartWithTwoWritable(t *testing.T) { onPairs(t, testStartWithTwoWritable) }

func testStartWithTwoWritable(t *testing.T, c *cluster) {
	primary := c.writableNow()
	standby := c.other(primary)
	c.byHand(standby, false)
	ctl, _ := c.start(nil)
	s := c.waitState(ctl, StateSplit)
	if s.Primary != "" || len(c.gate.published) > 0 {
		t.Errorf("status %+v, published %v", s, c.gate.published)
	}
	if text := strings.Join(s.Reasons, " "); !strings.Contains(text, "a and b are writable") || !strings.Contains(text, "SET GLOBAL read_only=1") {
		t.Errorf("reasons %q", s.Reasons)
	}
	if _, err := ctl.Switchover(context.Background(), Request{}); !isRefused(err, "split") {
		t.Errorf("a switchover got %v", err)
	}
	c.byHand(standby, true)
	if s := c.waitState(ctl, StateRunning); s.Primary != primary {
		t.Errorf("primary %s, want %s", s.Primary, primary)
	}
}

// Both servers writable and the state file names one: the other one is closed.
func TestStartWithTwoWritableAndStateFile(t *testing.T) {
	onPairs(t, testStartWithTwoWritableAndStateFile)
}

func testStartWithTwoWritableAndStateFile(t *testing.T, c *cluster) {
	ctl, stop := c.start(nil)
	primary := c.waitState(ctl, StateRunning).Primary
	stop()
	c.byHand(c.other(primary), false)
	ctl, _ = c.start(nil)
	if s := c.waitState(ctl, StateRunning); s.Primary != primary {
		t.Errorf("primary %s, want %s", s.Primary, primary)
	}
	c.wantOnlyWritable(primary)
}

// No server writable and nothing stored: no writes, and nothing is opened.
func TestStartWithNoneWritable(t *testing.T) { onPairs(t, testStartWithNoneWritable) }

func testStartWithNoneWritable(t *testing.T, c *cluster) {
	primary := c.writableNow()
	c.byHand(primary, true)
	ctl, stop := c.start(nil)
	s := c.waitState(ctl, StateNoPrimary)
	if s.Primary != "" || !strings.Contains(strings.Join(s.Reasons, " "), "SET GLOBAL read_only=0") {
		t.Errorf("status %+v", s)
	}
	if ro, _ := c.flags(primary); !ro {
		t.Error("a server was opened")
	}
	c.byHand(primary, false)
	s = c.waitState(ctl, StateRunning)
	stop()
	// With the state file it is opened, because it has everything.
	c.byHand(primary, true)
	ctl, _ = c.start(nil)
	if s2 := c.waitState(ctl, StateRunning); s2.Primary != primary || s2.Epoch != s.Epoch {
		t.Errorf("status %+v after %+v", s2, s)
	}
	c.wantOnlyWritable(primary)
}

// Servers that start with read_only=1 in their configuration, as they should, come back half closed on MySQL: its
// super_read_only is off. The known primary is opened all the same, and the other one closed for everybody.
func TestStartAfterRestartOfBothServers(t *testing.T) {
	onPairs(t, testStartAfterRestartOfBothServers)
}

func testStartAfterRestartOfBothServers(t *testing.T, c *cluster) {
	ctl, stop := c.start(nil)
	before := c.waitState(ctl, StateRunning)
	stop()
	for _, s := range c.servers {
		c.exec(s.Name, "SET GLOBAL read_only=1")
		if _, super := c.flags(s.Name); super {
			c.exec(s.Name, "SET GLOBAL super_read_only=0")
		}
	}
	ctl, _ = c.start(nil)
	if s := c.waitState(ctl, StateRunning); s.Primary != before.Primary {
		t.Errorf("status %+v after %+v", s, before)
	}
	c.wantOnlyWritable(before.Primary)
}

// A server that cannot be reached: with the state file the reachable primary serves, without it nothing is decided.
func TestStartWithUnreachableServer(t *testing.T) { onPairs(t, testStartWithUnreachableServer) }

func testStartWithUnreachableServer(t *testing.T, c *cluster) {
	ctl, stop := c.start(nil)
	primary := c.waitState(ctl, StateRunning).Primary
	stop()
	gone := c.other(primary)
	c.servers = slices.Clone(c.servers) // the watcher of before may still read them
	for i := range c.servers {
		if c.servers[i].Name == gone {
			c.servers[i].Address = "127.0.0.1:1"
		}
	}
	ctl, stop = c.start(nil)
	if s := c.waitState(ctl, StateRunning); s.Primary != primary {
		t.Errorf("status %+v", s)
	}
	if _, err := ctl.Switchover(context.Background(), Request{To: gone}); !isRefused(err, "does not answer") {
		t.Errorf("a switchover to an unreachable server got %v", err)
	}
	stop()
	if err := os.Remove(c.path); err != nil {
		t.Fatal(err)
	}
	ctl, _ = c.start(nil)
	if s := c.waitState(ctl, StateNoPrimary); s.Primary != "" || !strings.Contains(strings.Join(s.Reasons, " "), "nothing is stored") {
		t.Errorf("status %+v", s)
	}
}

// A cluster of one server is legal; a switchover in it is refused.
func TestSingleServer(t *testing.T) { onPairs(t, testSingleServer) }

func testSingleServer(t *testing.T, c *cluster) {
	primary := c.writableNow()
	c.servers = slices.DeleteFunc(slices.Clone(c.servers), func(i topology.Instance) bool { return i.Name != primary })
	ctl, _ := c.start(nil)
	if s := c.waitState(ctl, StateRunning); s.Primary != primary || s.Epoch == 0 {
		t.Errorf("status %+v", s)
	}
	if _, err := ctl.Switchover(context.Background(), Request{}); !isRefused(err, "no standby") {
		t.Errorf("a switchover got %v", err)
	}
}

// An operator moves the role by hand, and then opens both.
func TestOperatorAtWork(t *testing.T) { onPairs(t, testOperatorAtWork) }

func testOperatorAtWork(t *testing.T, c *cluster) {
	c.limits.Recheck = 100 * time.Millisecond
	ctl, _ := c.start(nil)
	first := c.waitState(ctl, StateRunning)
	from, to := first.Primary, c.other(first.Primary)
	c.byHand(from, true)
	if s := c.waitState(ctl, StateDegraded); s.Primary != from || !strings.Contains(s.Reasons[0], "read_only by somebody else") {
		t.Errorf("status %+v", s)
	}
	time.Sleep(300 * time.Millisecond)
	if ro, _ := c.flags(from); !ro {
		t.Error("the operator's read_only was undone")
	}
	c.byHand(to, false)
	s := c.waitState(ctl, StateRunning)
	if s.Primary != to || s.Epoch != first.Epoch+1 {
		t.Errorf("status %+v after %+v", s, first)
	}
	mySQL := c.sql(from, "{REPLICA}") == "REPLICA" // which has super_read_only, and read_only alone was set
	for deadline := time.Now().Add(5 * time.Second); mySQL; time.Sleep(20 * time.Millisecond) {
		if _, super := c.flags(from); super {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the former primary is still open for SUPER")
		}
	}
	c.byHand(from, false)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ro, _ := c.flags(from); ro {
			break
		}
	}
	c.wantOnlyWritable(to)
	if s := c.waitState(ctl, StateRunning); s.Primary != to {
		t.Errorf("status %+v", s)
	}
}

// A dry run names what is in the way and changes nothing.
func TestDryRun(t *testing.T) { onPairs(t, testDryRun) }

func testDryRun(t *testing.T, c *cluster) {
	c.limits.LongStatement = 50 * time.Millisecond
	ctl, _ := c.start(nil)
	before := c.waitState(ctl, StateRunning)
	c.rowTable(before.Primary)
	holder := c.session(before.Primary, "app")
	c.on(holder, "BEGIN")
	c.on(holder, "UPDATE acks SET epoch = 1 WHERE id = 1")
	time.Sleep(1200 * time.Millisecond)
	r, err := ctl.Switchover(context.Background(), Request{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcome != OutcomeDryRun || r.PredictedPauseMS <= 0 || len(r.Blockers) == 0 || r.Blockers[0].User != "app" {
		t.Errorf("result %+v", r)
	}
	if after := ctl.Status(); after.Primary != before.Primary || after.Epoch != before.Epoch || after.State != StateRunning || c.gate.holds != 0 {
		t.Errorf("status %+v, holds %d", after, c.gate.holds)
	}
	c.on(holder, "COMMIT")
}

// What is wrong with the standby is said in words, and nothing is changed.
func TestRefusals(t *testing.T) { onPairs(t, testRefusals) }

func testRefusals(t *testing.T, c *cluster) {
	ctl, _ := c.start(nil)
	before := c.waitState(ctl, StateRunning)
	standby := c.other(before.Primary)
	for _, x := range []struct{ to, want, breakIt, mendIt string }{
		{to: "nobody", want: "There is no server"},
		{to: before.Primary, want: "already the primary"},
		{to: standby, want: "receiver (IO thread)", breakIt: c.sql(standby, "STOP {REPLICA} IO_THREAD"), mendIt: c.sql(standby, "START {REPLICA} IO_THREAD")},
		{want: "applier (SQL thread)", breakIt: c.sql(standby, "STOP {REPLICA} SQL_THREAD"), mendIt: c.sql(standby, "START {REPLICA} SQL_THREAD")},
		{want: "writable although", breakIt: "SET GLOBAL read_only=0", mendIt: "SET GLOBAL read_only=1"},
	} {
		if x.breakIt != "" {
			c.exec(standby, x.breakIt)
		}
		if _, err := ctl.Switchover(context.Background(), Request{To: x.to}); !isRefused(err, x.want) {
			t.Errorf("to %q: got %v, want a refusal with %q", x.to, err, x.want)
		}
		if x.mendIt != "" {
			c.exec(standby, x.mendIt)
		}
		c.waitState(ctl, StateRunning)
	}
	if after := ctl.Status(); after.Primary != before.Primary || after.Epoch != before.Epoch || c.gate.holds != 0 {
		t.Errorf("status %+v after %+v, holds %d", after, before, c.gate.holds)
	}
}

// sql puts the server's word for a replica into a statement.
func (c *cluster) sql(server, statement string) string {
	word := "REPLICA"
	var version string
	if err := c.admin[server].QueryRow("SELECT @@version").Scan(&version); err != nil {
		c.t.Fatal(err)
	}
	if strings.Contains(version, "MariaDB") {
		word = "SLAVE"
	}
	return strings.ReplaceAll(statement, "{REPLICA}", word)
}

func isRefused(err error, text string) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && strings.Contains(strings.Join(refused.Reasons, " "), text)
}

// writableNow is the one server that is writable before anything has been started.
func (c *cluster) writableNow() string {
	c.t.Helper()
	for _, s := range c.servers {
		if ro, super := c.flags(s.Name); !ro && !super {
			return s.Name
		}
	}
	c.t.Fatal("no server is writable")
	return ""
}
