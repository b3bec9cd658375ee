package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestHealthyPair runs first: on a pair as it is started there is nothing critical but what is true of it.
func TestHealthyPair(t *testing.T) {
	onWards(t, func(w *ward) {
		r := w.d.Check(w.Context())
		for _, f := range r.Findings {
			w.Logf("%s %s %s: %s %q", f.Severity, f.Code, f.Server, f.Summary, f.Evidence)
			if f.Severity == Critical && f.Code != "START_WRITABLE" { // which is true of it on MySQL
				w.Errorf("%s on %s: %s %q", f.Code, f.Server, f.Summary, f.Evidence)
			}
		}
		for _, f := range r.Failed {
			w.Log("failed: " + f)
		}
		w.Logf("%d checks, %d statements, %s", r.Checks, r.Statements, r.Took)
	})
}

// ailment is something wrong with a server, and how it comes and goes.
type ailment struct {
	code   string // of the finding; several with blanks
	server string
	only   string // a flavour, "" for both
	hurt   func(w *ward)
	heal   func(w *ward)
}

// sqlOn is a step that runs statements, the same on both flavours.
func sqlOn(server string, statements ...string) func(*ward) {
	return func(w *ward) { w.Helper(); w.on(server, statements...) }
}

// eitherOn is a step that runs one statement or the other.
func eitherOn(server, mariadb, mysql string) func(*ward) {
	return func(w *ward) { w.Helper(); w.on(server, w.word(mariadb, mysql)) }
}

// paused is a step that runs statements while the applier is stopped.
func paused(server, mariadb, mysql string) func(*ward) {
	return func(w *ward) {
		w.Helper()
		w.stop(server, "SQL_THREAD")
		w.on(server, w.word(mariadb, mysql))
		w.start(server)
	}
}

func replicated(statements ...string) func(*ward) {
	return func(w *ward) { w.Helper(); w.on("a", statements...); w.even() }
}

var ailments = []ailment{
	{
		code: "SERVER_ID_DUPLICATE", server: "b",
		hurt: func(w *ward) { w.on("b", fmt.Sprintf("SET GLOBAL server_id=%d", w.server("a").ServerID)) },
		heal: func(w *ward) { w.on("b", fmt.Sprintf("SET GLOBAL server_id=%d", w.server("b").ServerID)) },
	},
	{
		code: "HISTORY_DIVERGED", server: "b",
		hurt: func(w *ward) {
			w.stop("a", "")
			if !w.mariadb() {
				w.on("b", "SET GLOBAL super_read_only=0")
			}
			w.on("b", "INSERT INTO app.t VALUES (1000)", w.word("SET GLOBAL read_only=1", "SET GLOBAL super_read_only=1"))
		},
		heal: func(w *ward) { w.start("a"); w.even() },
	},
	{
		code: "STANDBY_WRITABLE", server: "b",
		hurt: eitherOn("b", "SET GLOBAL read_only=0", "SET GLOBAL super_read_only=0, read_only=0"),
		heal: eitherOn("b", "SET GLOBAL read_only=1", "SET GLOBAL super_read_only=1"),
	},
	{
		code: "PRIMARY_READ_ONLY", server: "a",
		hurt: sqlOn("a", "SET GLOBAL read_only=1"), heal: sqlOn("a", "SET GLOBAL read_only=0"),
	},
	{
		code: "BINLOG_FORMAT", server: "b",
		hurt: paused("b", "SET GLOBAL binlog_format='MIXED'", "SET GLOBAL binlog_format='MIXED'"),
		heal: paused("b", "SET GLOBAL binlog_format='ROW'", "SET GLOBAL binlog_format='ROW'"),
	},
	{
		code: "BINLOG_ROW_IMAGE", server: "b",
		hurt: sqlOn("b", "SET GLOBAL binlog_row_image='MINIMAL'"), heal: sqlOn("b", "SET GLOBAL binlog_row_image='FULL'"),
	},
	{
		code: "DURABILITY", server: "a",
		hurt: sqlOn("a", "SET GLOBAL sync_binlog=0"), heal: sqlOn("a", "SET GLOBAL sync_binlog=1"),
	},
	{
		code: "GTID_OFF", server: "b",
		hurt: func(w *ward) { w.change(w.word("MASTER_USE_GTID=no", "SOURCE_AUTO_POSITION=0")); w.running("b") },
		heal: func(w *ward) {
			w.change(w.word("MASTER_USE_GTID=slave_pos", "SOURCE_AUTO_POSITION=1"))
			w.running("b")
		},
	},
	{
		code: "GTID_OFF RELAY_LOG_RECOVERY", server: "b", only: "mariadb",
		hurt: func(w *ward) { w.change("MASTER_USE_GTID=no"); w.running("b") },
		heal: func(w *ward) { w.change("MASTER_USE_GTID=slave_pos"); w.running("b") },
	},
	{
		code: "GTID_NOT_STRICT", server: "b", only: "mariadb",
		hurt: sqlOn("b", "SET GLOBAL gtid_strict_mode=0"), heal: sqlOn("b", "SET GLOBAL gtid_strict_mode=1"),
	},
	{
		code: "LINK_BROKEN", server: "b",
		hurt: func(w *ward) { w.stop("b", "SQL_THREAD") }, heal: func(w *ward) { w.start("b") },
	},
	{
		code: "LINK_BROKEN", server: "b",
		hurt: func(w *ward) { w.stop("b", "IO_THREAD") }, heal: func(w *ward) { w.start("b") },
	},
	{
		code: "LINK_BROKEN", server: "b", // the replication account's password is wrong
		hurt: func(w *ward) {
			w.change("SOURCE_PASSWORD='wrong'")
			w.eventually("the login fails", func() bool { return w.link("b", "Last_IO_Errno") != "0" })
		},
		heal: func(w *ward) { w.change("SOURCE_PASSWORD='" + mysqltest.ReplicationPassword + "'"); w.running("b") },
	},
	{
		code: "LINK_BROKEN", server: "b", // a row is there already
		hurt: func(w *ward) {
			w.aside("b", "INSERT INTO app.t VALUES (1062)")
			w.on("a", "INSERT INTO app.t VALUES (1062)")
			w.eventually("the applier stops", func() bool { return w.link("b", "Last_SQL_Errno") != "0" })
		},
		heal: func(w *ward) { w.aside("b", "DELETE FROM app.t WHERE id=1062"); w.start("b"); w.even() },
	},
	{
		code: "LINK_DOWN", server: "b", // nobody listens there
		hurt: func(w *ward) {
			w.change("SOURCE_PORT=1")
			w.eventually("the connection is refused", func() bool { return w.link("b", "Last_IO_Errno") != "0" })
		},
		heal: func(w *ward) { w.change(fmt.Sprintf("SOURCE_PORT=%d", w.server("a").Port)); w.running("b") },
	},
	{
		code: "LINK_PLAIN", server: "b",
		hurt: func(w *ward) { w.change("SOURCE_HOST='db.invalid'", "SOURCE_SSL=0") }, heal: func(w *ward) { w.follow() },
	},
	{
		code: "LINK_MISSING", server: "b",
		hurt: func(w *ward) { w.stop("b", ""); w.on("b", w.word("RESET SLAVE ALL", "RESET REPLICA ALL")) },
		heal: func(w *ward) { w.follow() },
	},
	{
		code: "REVERSE_LINK_BROKEN", server: "a",
		hurt: func(w *ward) { w.stop("a", "SQL_THREAD") }, heal: func(w *ward) { w.start("a") },
	},
	{
		code: "LINK_TIMERS", server: "b",
		hurt: eitherOn("b", "SET GLOBAL slave_net_timeout=60", "SET GLOBAL replica_net_timeout=60"),
		heal: eitherOn("b", "SET GLOBAL slave_net_timeout=3", "SET GLOBAL replica_net_timeout=3"),
	},
	{
		code: "PRIVILEGED_ACCOUNT",
		hurt: replicated("CREATE USER boss IDENTIFIED BY 'b'", "GRANT ALL ON *.* TO boss"), heal: replicated("DROP USER boss"),
	},
	{
		code: "CONTROL_RIGHTS", server: "b",
		hurt: func(w *ward) {
			w.on("a", w.word("REVOKE REPLICATION SLAVE", "REVOKE XA_RECOVER_ADMIN")+" ON *.* FROM "+mysqltest.ControlUser)
			w.even()
		},
		heal: func(w *ward) {
			w.on("a", w.word("GRANT REPLICATION SLAVE", "GRANT XA_RECOVER_ADMIN")+" ON *.* TO "+mysqltest.ControlUser)
			w.even()
		},
	},
	{
		code: "NO_ADMIN_PORT", server: "a",
		hurt: func(*ward) {}, // the pair has none; TestRestarts gives it one
	},
	{
		code: "REPLICATION_FILTER", server: "b",
		hurt: paused("b", "SET GLOBAL replicate_ignore_db='nothing'", "CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB=(nothing)"),
		heal: paused("b", "SET GLOBAL replicate_ignore_db=''", "CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB=()"),
	},
	{
		code: "AUTO_INCREMENT",
		hurt: func(w *ward) {
			w.on("b", "SET GLOBAL auto_increment_offset="+w.value("a", "SELECT @@global.auto_increment_offset AS v", "v"))
		},
		heal: func(w *ward) {
			w.on("b", fmt.Sprintf("SET GLOBAL auto_increment_offset=%d", 1+w.server("b").ServerID%2))
		},
	},
	{
		code: "APPLIER_IDEMPOTENT", server: "b",
		hurt: eitherOn("b", "SET GLOBAL slave_exec_mode='IDEMPOTENT'", "SET GLOBAL replica_exec_mode='IDEMPOTENT'"),
		heal: eitherOn("b", "SET GLOBAL slave_exec_mode='STRICT'", "SET GLOBAL replica_exec_mode='STRICT'"),
	},
	{
		code: "APPLIER_SERIAL", server: "b",
		hurt: func(w *ward) {
			w.stop("b", "")
			w.on("b", w.word("SET GLOBAL slave_parallel_threads=0", "SET GLOBAL replica_parallel_workers=1"))
			w.start("b")
		},
		heal: func(w *ward) {
			w.stop("b", "")
			w.on("b", w.word("SET GLOBAL slave_parallel_threads=4", "SET GLOBAL replica_parallel_workers=4"))
			w.start("b")
		},
	},
	{
		code: "SEMISYNC_SOURCE_ON_STANDBY", server: "b",
		hurt: eitherOn("b", "SET GLOBAL rpl_semi_sync_master_enabled=1", "SET GLOBAL rpl_semi_sync_source_enabled=1"),
		heal: eitherOn("b", "SET GLOBAL rpl_semi_sync_master_enabled=0", "SET GLOBAL rpl_semi_sync_source_enabled=0"),
	},
	{
		code: "TABLE_ENGINE",
		hurt: replicated("CREATE TABLE app.old (id INT PRIMARY KEY) ENGINE=MyISAM"),
		heal: replicated("DROP TABLE app.old"),
	},
	{
		code: "TABLE_WITHOUT_KEY",
		hurt: replicated("CREATE TABLE app.keyless (v INT)"), heal: replicated("DROP TABLE app.keyless"),
	},
	{
		code: "EVENT_ON_STANDBY", server: "b",
		hurt: func(w *ward) {
			w.aside("b", "CREATE EVENT app.twice ON SCHEDULE EVERY 1 DAY DO SET @x=1")
			w.on("b", "SET GLOBAL event_scheduler=ON")
		},
		heal: func(w *ward) {
			w.aside("b", "DROP EVENT app.twice")
			w.on("b", "SET GLOBAL event_scheduler="+w.value("a", "SELECT @@global.event_scheduler AS v", "v"))
		},
	},
	{
		code: "EVENT_ASLEEP", server: "a",
		hurt: func(w *ward) {
			w.aside("a", "CREATE EVENT app.never ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO SET @x=1")
		},
		heal: func(w *ward) { w.aside("a", "DROP EVENT app.never") },
	},
	{
		code: "SETTINGS_DIFFER", server: "b",
		hurt: sqlOn("b", "SET GLOBAL group_concat_max_len=2048"), heal: func(w *ward) {
			w.on("b", "SET GLOBAL group_concat_max_len="+w.value("a", "SELECT @@global.group_concat_max_len AS v", "v"))
		},
	},
	{
		code: "BINLOG_RETENTION", server: "a",
		hurt: sqlOn("a", "SET GLOBAL binlog_expire_logs_seconds=3600"), heal: sqlOn("a", "SET GLOBAL binlog_expire_logs_seconds=604800"),
	},
	{
		code: "BINLOG_NEVER_PURGED", server: "a",
		hurt: sqlOn("a", "SET GLOBAL binlog_expire_logs_seconds=0"), heal: sqlOn("a", "SET GLOBAL binlog_expire_logs_seconds=604800"),
	},
	{
		code: "ROUND_TRIP", server: "b",
		hurt: func(w *ward) {
			w.beat(time.Now().Add(-20 * time.Second))
			w.even()
			w.stop("b", "SQL_THREAD")
			w.beat(time.Now())
		},
		heal: func(w *ward) { w.start("b"); w.beat(time.Now()); w.even() },
	},
	{
		code: "GRANTS_DIFFER", server: "b",
		hurt: func(w *ward) {
			w.aside("b", "CREATE USER later IDENTIFIED BY 'x'", "GRANT SELECT ON app.* TO "+mysqltest.ReplicationUser)
		},
		heal: func(w *ward) {
			w.aside("b", "DROP USER later", "REVOKE SELECT ON app.* FROM "+mysqltest.ReplicationUser)
		},
	},
	{
		code: "RELAY_LOG_RECOVERY", server: "b", only: "mysql",
		hurt: func(*ward) {}, // the pair has it off; TestRestarts switches it on
	},
	{
		code: "START_UNKNOWN", server: "b", only: "mysql", // read_only of the standby was set at run time
		hurt: sqlOn("b", "SET GLOBAL super_read_only=0, read_only=0", "SET GLOBAL read_only=1", "SET GLOBAL super_read_only=1"),
		heal: sqlOn("b", "SET PERSIST_ONLY read_only=ON", "DO 0"),
	},
}

// beat writes a heartbeat row on a as Onewriter does.
func (w *ward) beat(at time.Time) {
	w.Helper()
	w.on("a", fmt.Sprintf("REPLACE INTO onewriter.heartbeat (server_id, ts, writer, beat) VALUES (%d, UTC_TIMESTAMP(6), 'test', %d)",
		w.server("a").ServerID, at.UnixMicro()))
}

// TestAilments makes every finding come and go that settings of running servers bring about.
func TestAilments(t *testing.T) {
	onWards(t, func(w *ward) {
		for _, a := range ailments {
			codes := strings.Fields(a.code)
			if a.only != "" && a.only != w.server("a").Flavor.String() {
				continue
			}
			w.Run(a.code, func(t *testing.T) {
				w := newWard(t, w.server("a").Flavor)
				a.hurt(w)
				w.sick(a.server, codes...)
				if a.heal != nil {
					a.heal(w)
					w.well(a.server, codes...)
				}
			})
		}
		if !w.mariadb() {
			w.on("b", "RESET PERSIST")
		}
	})
}

// Two names that lead to one server are told apart from copies of one.
func TestSameServer(t *testing.T) {
	onWards(t, func(w *ward) {
		d := w.doctor(func(c *Config) { c.Servers[1].Address = c.Servers[0].Address })
		var codes []string
		for _, f := range d.Check(w.Context()).Findings {
			if f.Server == "b" {
				codes = append(codes, f.Code)
			}
		}
		if !slices.Contains(codes, "SAME_SERVER") || slices.Contains(codes, "SERVER_ID_DUPLICATE") || slices.Contains(codes, "SERVER_UUID_DUPLICATE") {
			t.Errorf("found %q", codes)
		}
	})
}
