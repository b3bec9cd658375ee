package failover

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// The SQL of SetupSQL is all that the control account needs for everything a switchover does.
func TestSetupSQLIsEnough(t *testing.T) { onPairs(t, testSetupSQLIsEnough) }

func testSetupSQLIsEnough(t *testing.T, c *cluster) {
	primary := c.writableNow()
	d, err := flavor.Detect(context.Background(), c.admin[primary])
	if err != nil {
		t.Fatal(err)
	}
	c.asRoot(primary, "DROP USER IF EXISTS 'narrow'@'%'")
	for _, statement := range SetupSQL(d.Name(), "narrow") {
		c.asRoot(primary, strings.ReplaceAll(statement, "<password>", "narrow-secret"))
	}
	c.waitUser("narrow")
	c.waitRights("narrow")
	c.user, c.password = "narrow", "narrow-secret"
	ctl, _ := c.start(nil)
	from := c.waitState(ctl, StateRunning).Primary
	c.rowTable(from)
	holder := c.session(from, "app")
	c.on(holder, "LOCK TABLES acks WRITE")
	for range 2 {
		if _, err := ctl.Switchover(context.Background(), Request{}); err != nil {
			t.Fatal(err)
		}
	}
	if killed := killedIn(ctl); len(killed) == 0 {
		t.Error("the holder of the table lock was not ended")
	}
	c.wantOnlyWritable(from)
}

// asRoot runs a statement as an administrator.
func (c *cluster) asRoot(server, statement string) {
	c.t.Helper()
	if _, err := openDB(c.t, "root", mysqltest.RootPassword, c.address(server), "").ExecContext(context.Background(), statement); err != nil {
		c.t.Fatalf("%s on %s: %v", statement, server, err)
	}
}

// waitUser waits until the account has replicated to all servers.
func (c *cluster) waitUser(user string) {
	c.t.Helper()
	for _, s := range c.servers {
		c.waitFor("account "+user+" on "+s.Name, func() bool {
			var n int
			err := c.admin[s.Name].QueryRow("SELECT COUNT(*) FROM mysql.user WHERE user = ?", user).Scan(&n)
			return err == nil && n == 1
		})
	}
}

// waitRights waits until the rights on the schema onewriter, the last ones of SetupSQL, have replicated to all servers.
func (c *cluster) waitRights(user string) {
	c.t.Helper()
	for _, s := range c.servers {
		c.waitFor("rights of "+user+" on "+s.Name, func() bool {
			var n int
			err := c.admin[s.Name].QueryRow("SELECT COUNT(*) FROM mysql.db WHERE user = ? AND db = 'onewriter'", user).Scan(&n)
			return err == nil && n == 1
		})
	}
}

// An account that may not create the schema: Run ends with the SQL to execute.
func TestSchemaDenied(t *testing.T) { onPairs(t, testSchemaDenied) }

func testSchemaDenied(t *testing.T, c *cluster) {
	primary := c.writableNow()
	c.asRoot(primary, "DROP DATABASE IF EXISTS onewriter")
	c.asRoot(primary, "DROP USER IF EXISTS 'poor'@'%'")
	c.asRoot(primary, "CREATE USER 'poor'@'%' IDENTIFIED BY 'poor-secret'")
	c.asRoot(primary, "GRANT PROCESS ON *.* TO 'poor'@'%'")
	c.waitUser("poor")
	_, err := EnsureSchema(context.Background(), primary, openDB(t, "poor", "poor-secret", c.address(primary), ""))
	var setup *SetupError
	if !errors.As(err, &setup) || len(setup.SQL) == 0 || !strings.Contains(err.Error(), "onewriter setup --print") {
		t.Fatalf("got %v", err)
	}
	// And with an account that may it is created, once.
	for _, want := range []bool{true, false} {
		created, err := EnsureSchema(context.Background(), primary, c.admin[primary])
		if err != nil || created != want {
			t.Errorf("created %t, %v; want %t", created, err, want)
		}
	}
}
