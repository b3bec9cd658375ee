package failover

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestMend: a receiver that has given up after its last attempt is started again.
func TestMend(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			opts := mysqltest.PairOptions{Flavor: f}
			if f == mysqltest.MariaDB {
				opts.Config = map[string]string{"master-retry-count": "1"}
			}
			m := newMortal(t, opts)
			ctl, _ := m.start(nil)
			m.waitState(ctl, StateRunning)
			m.createTable("a")
			if f == mysqltest.MySQL {
				m.root("b", "STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_RETRY_COUNT=1, SOURCE_CONNECT_RETRY=1", "START REPLICA")
			}
			m.waitFor("b follows a", func() bool { return m.follows("b", "a") })
			m.replicationPassword("a", "wrong")
			m.waitFor("the receiver of b has given up", func() bool { return m.gaveUp("b") })
			m.replicationPassword("a", mysqltest.ReplicationPassword)
			m.waitFor("b follows a again", func() bool { return m.follows("b", "a") })
		})
	}
}

// root runs statements on a server with all rights, on one connection.
func (m *mortal) root(name string, queries ...string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := m.server(name).DB().Conn(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, q := range queries {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			m.t.Fatalf("%s on %s: %v", q, name, err)
		}
	}
}

// replicationPassword changes the password of the replication account on one server alone, and ends its replicas'
// connections.
func (m *mortal) replicationPassword(name, password string) {
	m.t.Helper()
	m.root(name, "SET SESSION sql_log_bin=0", fmt.Sprintf("ALTER USER '%s'@'%%' IDENTIFIED BY '%s'", mysqltest.ReplicationUser, password))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	rows, err := m.server(name).DB().QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			m.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		m.t.Fatal(err)
	}
	for _, id := range ids {
		m.root(name, fmt.Sprintf("KILL %d", id))
	}
}

// gaveUp reports whether a receiver of the server has ended with an error.
func (m *mortal) gaveUp(name string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d, err := flavor.Detect(ctx, m.admin[name])
	if err != nil {
		return false
	}
	facts, err := d.Observe(ctx, m.admin[name])
	return err == nil && len(facts.Links) == 1 && facts.Links[0].IO.String() == "No" && facts.Links[0].IOErrno != 0
}
