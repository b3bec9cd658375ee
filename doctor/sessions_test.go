package doctor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

func TestPreparedXA(t *testing.T) {
	onWards(t, func(w *ward) {
		c := w.conn("a")
		c.exec("XA START 'x'", "INSERT INTO app.t VALUES (2000)", "XA END 'x'", "XA PREPARE 'x'")
		w.sick("a", "XA_PREPARED")
		c.exec("XA ROLLBACK 'x'")
		w.well("a", "XA_PREPARED")
		_ = c.Close()
	})
}

func TestLongTransaction(t *testing.T) {
	onWards(t, func(w *ward) {
		c := w.conn("a")
		c.exec("BEGIN", "INSERT INTO app.t VALUES (2001)")
		w.well("a", "LONG_TRANSACTION")
		w.d.limits.transaction = time.Second
		w.eventually("the transaction is 2 s old", func() bool {
			return w.value("a", "SELECT COUNT(*) AS n FROM information_schema.innodb_trx WHERE trx_started < NOW() - INTERVAL 1 SECOND", "n") == "1"
		})
		w.sick("a", "LONG_TRANSACTION")
		c.exec("ROLLBACK")
		time.Sleep(300 * time.Millisecond) // innodb_trx is not renewed while it is read more often than each 100 ms
		w.well("a", "LONG_TRANSACTION")
		_ = c.Close()
	})
}

func TestTableLocks(t *testing.T) {
	onWards(t, func(w *ward) {
		if w.mariadb() {
			w.aside("a", "INSTALL SONAME 'metadata_lock_info'")
			defer w.aside("a", "UNINSTALL SONAME 'metadata_lock_info'")
		}
		c := w.conn("a")
		c.exec("LOCK TABLES app.t WRITE")
		w.sick("a", "TABLE_LOCKS")
		c.exec("UNLOCK TABLES")
		w.well("a", "TABLE_LOCKS")
		_ = c.Close()
	})
}

// TestFencePending holds a fence up with a table lock: MySQL shows the half state, MariaDB nothing.
func TestFencePending(t *testing.T) {
	w := newWard(t, mysqltest.MySQL)
	c := w.conn("a")
	c.exec("LOCK TABLES app.t WRITE")
	fenced := make(chan error, 1)
	go func() {
		_, err := w.server("a").DB().ExecContext(context.WithoutCancel(w.Context()), "SET GLOBAL super_read_only=1")
		fenced <- err
	}()
	w.eventually("the fence waits", func() bool { return w.value("a", "SELECT @@global.super_read_only AS v", "v") == "1" })
	w.sick("a", "FENCE_PENDING")
	c.exec("UNLOCK TABLES")
	if err := <-fenced; err != nil {
		t.Fatal(err)
	}
	w.on("a", "SET GLOBAL super_read_only=0, read_only=0")
	w.well("a", "FENCE_PENDING")
	_ = c.Close()
}

func TestOtherManager(t *testing.T) {
	onWards(t, func(w *ward) {
		c := w.conn("b")
		c.exec("DO GET_LOCK('maxscale_mariadbmonitor', 1)")
		w.sick("b", "OTHER_MANAGER")
		c.exec("DO RELEASE_LOCK('maxscale_mariadbmonitor')")
		w.well("b", "OTHER_MANAGER")
		_ = c.Close()
	})
}

func TestBackupOnPrimary(t *testing.T) {
	onWards(t, func(w *ward) {
		ctx, cancel := context.WithCancel(w.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = w.server("a").DB().ExecContext(ctx, "SELECT /*!40001 SQL_NO_CACHE */ SLEEP(5)")
		}()
		running := func() bool {
			return w.value("a", "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE info LIKE '%SLEEP(5)' AND id <> CONNECTION_ID()", "n") != "0"
		}
		w.eventually("the backup runs", running)
		w.sick("a", "BACKUP_ON_PRIMARY")
		cancel()
		<-ended
		w.eventually("the backup has ended", func() bool { return !running() })
		w.well("a", "BACKUP_ON_PRIMARY")
	})
}

// TestClockDrift gives the doctor's sessions another time.
func TestClockDrift(t *testing.T) {
	onWards(t, func(w *ward) {
		w.session = fmt.Sprintf("timestamp=%d", time.Now().Add(-time.Minute).Unix())
		w.sick("b", "CLOCK_DRIFT")
		w.session = ""
		w.well("b", "CLOCK_DRIFT")
	})
}

func TestDiskLow(t *testing.T) {
	onWards(t, func(w *ward) {
		w.well("a", "DISK_LOW")
		w.d.limits.diskFree = 1.01
		w.sick("a", "DISK_LOW")
	})
}

// TestUnknownReplica leaves b out of the cluster.
func TestUnknownReplica(t *testing.T) {
	onWards(t, func(w *ward) {
		w.well("a", "UNKNOWN_REPLICA")
		w.d = w.doctor(func(c *Config) { c.Servers = c.Servers[:1] })
		w.sick("a", "UNKNOWN_REPLICA")
	})
}

// TestVersionDiffers makes a cluster of two flavours, of which nothing else is expected to work.
func TestVersionDiffers(t *testing.T) {
	w, other := newWard(t, mysqltest.MariaDB), newWard(t, mysqltest.MySQL)
	w.well("b", "VERSION_DIFFERS")
	w.d = w.doctor(func(c *Config) { c.Servers[1].Address = other.server("b").Addr() })
	w.sick("b", "VERSION_DIFFERS")
}

// TestSemiSyncPrimary walks from a source side with defaults to one that is as it should be.
func TestSemiSyncPrimary(t *testing.T) {
	onWards(t, func(w *ward) {
		set := func(server, mariadb, mysql string) { w.on(server, "SET GLOBAL rpl_semi_sync_"+w.word(mariadb, mysql)) }
		set("a", "master_timeout=100", "source_timeout=100")
		set("a", "master_wait_point=AFTER_COMMIT", "source_wait_point=AFTER_COMMIT")
		set("a", "master_enabled=1", "source_enabled=1")
		w.sick("a", "SEMISYNC_AFTER_COMMIT", "SEMISYNC_FALLBACK", "SEMISYNC_ALONE")
		set("b", "slave_enabled=1", "replica_enabled=1")
		w.stop("b", "IO_THREAD")
		w.start("b")
		set("a", "master_wait_point=AFTER_SYNC", "source_wait_point=AFTER_SYNC")
		set("a", "master_timeout=1000000000", "source_timeout=1000000000")
		w.eventually("b acknowledges", func() bool {
			return w.value("a", w.word("SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'", "SHOW STATUS LIKE 'Rpl_semi_sync_source_clients'"), "Value") == "1"
		})
		w.well("a", "SEMISYNC_AFTER_COMMIT", "SEMISYNC_FALLBACK", "SEMISYNC_ALONE")
		set("a", "master_enabled=0", "source_enabled=0")
		set("b", "slave_enabled=0", "replica_enabled=0")
		w.stop("b", "IO_THREAD")
		w.start("b")
	})
}

// TestMissingRights: what the account may not see is not checked, and is no finding.
func TestMissingRights(t *testing.T) {
	onWards(t, func(w *ward) {
		w.on("a", "CREATE USER blind IDENTIFIED BY 'b'", "GRANT "+w.word("SLAVE MONITOR, BINLOG MONITOR", "REPLICATION CLIENT")+" ON *.* TO blind")
		w.even()
		w.d = w.doctor(func(c *Config) { c.Connect = w.connectAs("blind", "b") })
		r := w.d.Check(w.Context())
		for _, code := range []string{"PRIVILEGED_ACCOUNT", "TABLE_ENGINE", "TABLE_WITHOUT_KEY", "GRANTS_DIFFER", "UNKNOWN_REPLICA", "ROUND_TRIP", "LONG_TRANSACTION"} {
			if !failedIn(r, code) {
				w.Errorf("%s is not among what was not checked: %q", code, r.Failed)
			}
			for _, f := range r.Findings {
				if f.Code == code {
					w.Errorf("found without being able to look: %s %q", code, f.Evidence)
				}
			}
		}
		for _, f := range r.Failed {
			w.Log(f)
		}
		w.on("a", "DROP USER blind")
		w.even()
	})
}

// TestBlocking: what blocks stays while it cannot be looked at, and goes when it is seen to be gone.
func TestBlocking(t *testing.T) {
	onWards(t, func(w *ward) {
		blocked := func(want int) {
			w.Helper()
			w.d.Check(w.Context())
			if got := w.d.Blocking(); len(got) != want {
				w.Errorf("blocking %q, want %d", got, want)
			}
		}
		blocked(0)
		w.on("b", "SET GLOBAL "+w.word("slave_exec_mode", "replica_exec_mode")+"='IDEMPOTENT'")
		w.stop("b", "SQL_THREAD")
		blocked(2)
		w.away = "a"
		blocked(2)
		w.away = "b"
		blocked(2)
		if _, ok := find(w.d.Last(), "APPLIER_IDEMPOTENT", "b"); ok {
			w.Error("the report has a finding that nobody saw")
		}
		w.away = ""
		w.start("b")
		blocked(1)
		w.on("b", "SET GLOBAL "+w.word("slave_exec_mode", "replica_exec_mode")+"='STRICT'")
		blocked(0)
	})
}

// TestPrimaryDown: a primary that dies must not block its own failover.
func TestPrimaryDown(t *testing.T) {
	onWards(t, func(w *ward) {
		port := w.server("a").Port
		w.change("SOURCE_PORT=1") // as the standby sees a dead primary
		w.eventually("the connection is refused", func() bool { return w.link("b", "Last_IO_Errno") != "0" })
		w.away = "a"
		r := w.d.Check(w.Context())
		if got := w.d.Blocking(); len(got) != 0 {
			w.Errorf("blocking %q: %s", got, list(r))
		}
		w.change(fmt.Sprintf("SOURCE_PORT=%d", port))
		w.running("b")
	})
}

func TestIgnore(t *testing.T) {
	onWards(t, func(w *ward) {
		w.d = w.doctor(func(c *Config) { c.Ignore = []string{"NO_ADMIN_PORT"} })
		if r := w.d.Check(w.Context()); len(r.Findings) == 0 {
			w.Error("nothing is found")
		} else if _, ok := find(r, "NO_ADMIN_PORT", "a"); ok {
			w.Error("an ignored finding is reported")
		}
		_, err := New(Config{Connect: w.connect, Servers: []topology.Instance{{Name: "a"}}, Ignore: []string{"NO_ADMINPORT"}})
		if err == nil {
			w.Error("a code that nothing has is accepted")
		}
	})
}
