package rewind_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// refusals are tails and what must be said about them; "" for tails that are no problem.
var refusals = []struct {
	name   string
	before []string // on both servers
	tail   []string
	want   string // with the prefix "mysql: " only said of MySQL
}{
	{"plain", []string{"CREATE TABLE app.plain (id INT PRIMARY KEY, v INT)"}, []string{"INSERT INTO app.plain VALUES (1, 1)"}, ""},
	{"ddl", nil, []string{"CREATE TABLE app.fresh (id INT PRIMARY KEY)"}, "holds a statement, which has no row images: CREATE TABLE app.fresh"},
	{"statement", []string{"CREATE TABLE app.st (id INT PRIMARY KEY)"}, []string{"SET SESSION binlog_format = STATEMENT", "INSERT INTO app.st VALUES (1)", "SET SESSION binlog_format = ROW"}, "holds a statement"},
	{
		"minimal", []string{"CREATE TABLE app.mi (id INT PRIMARY KEY, v INT, w INT)", "INSERT INTO app.mi VALUES (1, 1, 1)"},
		[]string{"SET SESSION binlog_row_image = MINIMAL", "UPDATE app.mi SET v = 2", "SET SESSION binlog_row_image = FULL"}, "binlog_row_image must be FULL",
	},
	{"noblob", []string{"CREATE TABLE app.nb (id INT PRIMARY KEY, v INT, w BLOB)", "INSERT INTO app.nb VALUES (1, 1, 'x')"}, []string{"SET SESSION binlog_row_image = NOBLOB", "UPDATE app.nb SET v = 2", "SET SESSION binlog_row_image = FULL"}, "binlog_row_image must be FULL"},
	{
		"json", []string{"CREATE TABLE app.js (id INT PRIMARY KEY, j JSON)", `INSERT INTO app.js VALUES (1, '{"a": "a long text that is not changed", "b": 1}')`},
		[]string{"/*!80003 SET SESSION binlog_row_value_options = PARTIAL_JSON */", "UPDATE app.js SET j = JSON_SET(j, '$.b', 2)", "/*!80003 SET SESSION binlog_row_value_options = '' */"}, "mysql: PARTIAL_JSON",
	},
	{"equal rows", []string{"CREATE TABLE app.eq (v INT)", "INSERT INTO app.eq VALUES (7)"}, []string{"INSERT INTO app.eq VALUES (7)"}, "no unique key, and a row that was written is there 2 times"},
	{"rows without key", []string{"CREATE TABLE app.nk (v INT, w INT UNIQUE)", "INSERT INTO app.nk VALUES (7, NULL), (7, NULL)"}, []string{"INSERT INTO app.nk VALUES (8, NULL)"}, ""},
	{"trigger", []string{"CREATE TABLE app.tr (id INT PRIMARY KEY)", "CREATE TRIGGER app.t1 AFTER DELETE ON app.tr FOR EACH ROW SET @x = 1"}, []string{"INSERT INTO app.tr VALUES (1)"}, "trigger on delete"},
	{"other trigger", []string{"CREATE TABLE app.ot (id INT PRIMARY KEY)", "CREATE TRIGGER app.t2 AFTER INSERT ON app.ot FOR EACH ROW SET @x = 1"}, []string{"INSERT INTO app.ot VALUES (1)"}, ""},
	{
		"cascade", []string{
			"CREATE TABLE app.pa (id INT PRIMARY KEY, v INT)", "CREATE TABLE app.ch (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES app.pa (id) ON DELETE CASCADE)",
			"INSERT INTO app.pa VALUES (1, 1), (2, 2)", "INSERT INTO app.ch VALUES (1, 1)",
		},
		[]string{"DELETE FROM app.pa WHERE id = 1"}, "CASCADE or SET NULL",
	},
	{
		"cascade of keys", []string{
			"CREATE TABLE app.pk (id INT PRIMARY KEY, v INT)", "CREATE TABLE app.ck (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES app.pk (id) ON UPDATE CASCADE)",
			"INSERT INTO app.pk VALUES (1, 1)",
		},
		[]string{"UPDATE app.pk SET id = 2"}, "CASCADE or SET NULL",
	},
	{
		"no cascade", []string{
			"CREATE TABLE app.pn (id INT PRIMARY KEY, v INT)", "CREATE TABLE app.cn (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES app.pn (id) ON DELETE CASCADE ON UPDATE CASCADE)",
			"INSERT INTO app.pn VALUES (1, 1)",
		},
		[]string{"UPDATE app.pn SET v = 2", "INSERT INTO app.pn VALUES (3, 3)"}, "",
	},
	{"engine", []string{"CREATE TABLE app.en (id INT PRIMARY KEY) ENGINE=MyISAM"}, []string{"INSERT INTO app.en VALUES (1)"}, "not transactional"},
	{"xa", []string{"CREATE TABLE app.xa (id INT PRIMARY KEY)"}, []string{"XA START 'x'", "INSERT INTO app.xa VALUES (1)", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'"}, "XA PREPARE"},
	{
		"altered", []string{"CREATE TABLE app.al (id INT PRIMARY KEY, v INT)"},
		[]string{"INSERT INTO app.al VALUES (1, 1)", "SET SESSION sql_log_bin = 0", "ALTER TABLE app.al MODIFY v BIGINT", "SET SESSION sql_log_bin = 1"}, "was changed since: column v",
	},
	{
		"dropped column", []string{"CREATE TABLE app.dc (id INT PRIMARY KEY, v INT)"},
		[]string{"INSERT INTO app.dc VALUES (1, 1)", "SET SESSION sql_log_bin = 0", "ALTER TABLE app.dc DROP v", "SET SESSION sql_log_bin = 1"}, "it had 2 columns and has 1",
	},
	{
		"exchanged columns", []string{"CREATE TABLE app.ex (id INT PRIMARY KEY, v INT, w INT)"},
		[]string{"INSERT INTO app.ex VALUES (1, 1, 2)", "DO SLEEP(1.1)", "SET SESSION sql_log_bin = 0", "ALTER TABLE app.ex DROP v", "ALTER TABLE app.ex ADD v INT", "SET SESSION sql_log_bin = 1"}, "created or altered after the transactions",
	},
	{
		"dropped", []string{"CREATE TABLE app.dr (id INT PRIMARY KEY)"},
		[]string{"INSERT INTO app.dr VALUES (1)", "SET SESSION sql_log_bin = 0", "DROP TABLE app.dr", "SET SESSION sql_log_bin = 1"}, "does not exist",
	},
}

func TestRefusals(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startDuo(t, mysqltest.PairOptions{Flavor: f})
			for _, r := range refusals {
				x.run(x.a.DB(), r.before...)
			}
			x.part()
			for _, r := range refusals {
				n := len(x.errant())
				x.run(x.session(x.a), r.tail...)
				// Only this tail is given, so that MySQL says one thing in any case: that it is not everything.
				_, err := rewind.MakePlan(x.ctx(), x.target(), x.errant()[n:])
				var refused *rewind.RefusedError
				want, only := strings.CutPrefix(r.want, "mysql: ")
				if only && f != mysqltest.MySQL {
					want = ""
				}
				incomplete := n > 0 && f == mysqltest.MySQL
				if !incomplete && want == "" && err == nil {
					continue
				}
				if !errors.As(err, &refused) || !errors.Is(err, rewind.ErrRefused) {
					t.Fatalf("%s: %v", r.name, err)
				}
				var others []string
				for _, reason := range refused.Reasons {
					if !incomplete || !strings.Contains(reason, "does not hold all transactions") {
						others = append(others, reason)
					}
				}
				text := strings.Join(others, " ")
				if want == "" && text != "" || !strings.Contains(text, want) || incomplete && len(others) == len(refused.Reasons) {
					t.Errorf("%s: refused with %q, want %q", r.name, refused.Reasons, want)
				}
			}
		})
	}
}

func TestUndoWantsAQuietServer(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startDuo(t, mysqltest.PairOptions{Flavor: f})
			x.run(x.a.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY, v INT)", "INSERT INTO app.a VALUES (1, 1)")
			x.part()
			x.run(x.a.DB(), "INSERT INTO app.a VALUES (2, 2)", "UPDATE app.a SET v = 3 WHERE id = 1")
			plan, err := x.plan()
			x.check(err)
			keep := t.TempDir()
			undo := func(what string, want error) {
				t.Helper()
				if _, err := rewind.Undo(x.ctx(), x.target(), plan, keep); !errors.Is(err, want) {
					t.Errorf("%s: %v", what, err)
				}
				row, err := x.a.Row(x.ctx(), "SELECT SUM(v) AS s FROM app.a")
				if err != nil || row["s"] != "5" && row["s"] != "12" {
					t.Errorf("%s: sum %v, %v", what, row, err)
				}
			}
			undo("writable", rewind.ErrNotQuiet)
			x.close()
			x.check(x.d.StartReplica(x.ctx(), x.a.DB(), "", flavor.ReceiverThread))
			undo("receiver runs", rewind.ErrNotQuiet)
			x.check(x.d.StopReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
			x.attach()
			undo("replica attached", rewind.ErrNotQuiet)
			x.detach()
			x.check(x.a.SetReadOnly(x.ctx(), false))
			c := x.session(x.a)
			x.run(c, "SET SESSION sql_log_bin = 0", "UPDATE app.a SET v = 10 WHERE id = 1", "SET SESSION sql_log_bin = 1")
			x.close()
			undo("row changed without a trace", rewind.ErrChanged)
			x.quietAgain()
			x.check(x.a.SetReadOnly(x.ctx(), false))
			x.run(c, "UPDATE app.a SET v = 10 WHERE id = 2", "UPDATE app.a SET v = 2 WHERE id = 2")
			x.close()
			undo("written since", rewind.ErrChanged)
		})
	}
}

// attach lets b read a's binary log; it must not get anything of the tail, so it asks from the end on.
func (x *duo) attach() {
	x.t.Helper()
	at, err := x.d.BinlogPosition(x.ctx(), x.a.DB())
	x.check(err)
	s := flavor.Source{Host: "127.0.0.1", Port: x.a.Port}
	s.File, s.Pos, _ = at.File()
	x.check(x.d.ChangeSource(x.ctx(), x.b.DB(), s))
	x.check(x.d.StartReplica(x.ctx(), x.b.DB(), "", flavor.ReceiverThread))
	x.readers(1)
}

func (x *duo) detach() {
	x.t.Helper()
	x.check(x.d.StopReplica(x.ctx(), x.b.DB(), "", flavor.BothThreads))
	c := x.session(x.a)
	rows, err := c.QueryContext(x.ctx(), "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	x.check(err)
	var ids []uint64
	for rows.Next() {
		var id uint64
		x.check(rows.Scan(&id))
		ids = append(ids, id)
	}
	x.check(errors.Join(rows.Close(), rows.Err()))
	for _, id := range ids {
		_ = x.d.Kill(x.ctx(), c, id) // it may have ended
	}
	x.readers(0)
}

func (x *duo) readers(want int) {
	x.t.Helper()
	for {
		n, err := flavor.LogReaders(x.ctx(), x.a.DB(), "root")
		x.check(err)
		if n == want {
			return
		}
	}
}

// TestControlAccountRewindsOwnRows: a heartbeat is the usual tail, and the account that Onewriter has must do for it.
func TestControlAccountRewindsOwnRows(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startDuo(t, mysqltest.PairOptions{Flavor: f})
			x.run(x.a.DB(), flavor.SchemaSQL()...)
			x.run(x.a.DB(), "INSERT INTO onewriter.heartbeat (server_id, ts, writer, beat) VALUES (1, NOW(6), 'p', 1)", "CREATE TABLE app.a (id INT PRIMARY KEY)")
			x.part()
			x.run(x.a.DB(), "UPDATE onewriter.heartbeat SET ts = NOW(6), beat = 18446744073709551615", "REPLACE INTO onewriter.heartbeat (server_id, ts, beat) VALUES (1, NOW(6), 3)")
			x.run(x.b.DB(), "INSERT INTO onewriter.heartbeat (server_id, ts, beat) VALUES (2, NOW(6), 1)")
			x.close()
			db, err := flavor.Open(x.a.Addr(), flavor.Login{User: mysqltest.ControlUser, Password: mysqltest.ControlPassword})
			x.check(err)
			defer func() { _ = db.Close() }()
			db.SetMaxIdleConns(0) // rights are read at the login
			target := x.target()
			target.DB, target.ControlUser = db, mysqltest.ControlUser
			if f == mysqltest.MariaDB {
				x.grants(target)
			}
			plan, err := rewind.MakePlan(x.ctx(), target, x.errant())
			x.check(err)
			report, err := rewind.Undo(x.ctx(), target, plan, t.TempDir())
			x.check(err)
			x.rejoin()
			x.equal("onewriter.heartbeat")
			if report.Rows != 2 && report.Rows != 3 {
				t.Errorf("report %+v", report)
			}
			x.lacksRights(target)
		})
	}
}

// grants checks that a missing right is named, and grants it.
func (x *duo) grants(target rewind.Target) {
	x.t.Helper()
	account := "'" + mysqltest.ControlUser + "'@'%'"
	c := x.session(x.a)
	x.run(c, "SET SESSION sql_log_bin = 0", "REVOKE BINLOG ADMIN ON *.* FROM "+account)
	if _, err := rewind.MakePlan(x.ctx(), target, x.errant()); !errors.Is(err, rewind.ErrRefused) || !strings.Contains(err.Error(), "GRANT BINLOG ADMIN") {
		x.t.Errorf("without BINLOG ADMIN: %v", err)
	}
	x.run(c, "GRANT BINLOG ADMIN ON *.* TO "+account)
}

// lacksRights checks that tables of others are refused with what to grant.
func (x *duo) lacksRights(target rewind.Target) {
	x.t.Helper()
	x.swap()
	x.part()
	x.run(x.a.DB(), "INSERT INTO app.a VALUES (1)")
	account := "'" + mysqltest.ControlUser + "'@'%'"
	x.run(x.session(x.a), "SET SESSION sql_log_bin = 0", "REVOKE UPDATE, DELETE, TRIGGER ON *.* FROM "+account)
	x.close()
	target.Have = x.target().Have
	if _, err := rewind.MakePlan(x.ctx(), target, x.errant()); !errors.Is(err, rewind.ErrRefused) || !strings.Contains(err.Error(), "TRIGGER ON `app`.*") {
		x.t.Errorf("without rights on the schema app: %v", err)
	}
}

// TestFileAndPosition: with GTID off there is no history to forget, only the log.
func TestFileAndPosition(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startDuo(t, mysqltest.PairOptions{Flavor: f, FilePos: true})
			x.run(x.a.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY, v INT)", "INSERT INTO app.a VALUES (1, 1)", "INSERT INTO app.a VALUES (2, 1)")
			x.caughtUp("app.a")
			x.part2()
			x.run(x.a.DB(), "UPDATE app.a SET v = 3", "DELETE FROM app.a WHERE id = 1")
			x.close()
			list := x.errantSince()
			if len(list) != 2 {
				t.Fatalf("%d transactions", len(list))
			}
			plan, err := rewind.MakePlan(x.ctx(), x.target(), list)
			x.check(err)
			report, err := rewind.Undo(x.ctx(), x.target(), plan, t.TempDir())
			x.check(err)
			if text, err := os.ReadFile(report.File); err != nil || !strings.Contains(string(text), "UPDATE `app`.`a` SET `v` = 3 WHERE `id` = 1;") {
				t.Errorf("kept %s, %v", text, err)
			}
			x.run(x.b.DB(), "UPDATE app.a SET v = 4 WHERE id = 1")
			x.check(x.d.StartReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
			x.caughtUp("app.a")
		})
	}
}
