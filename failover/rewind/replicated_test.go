package rewind_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/rejoin"
	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/topology"
)

// uninterrupted is the stage of an Undo that comes to its end.
const uninterrupted = rewind.Stage(-1)

// onTop is a duo whose a has pulled what b wrote to the same rows in on top of its errant transactions.
type onTop struct {
	*duo
	filePos bool
	opened  gtid.Position // the end of b's binary log when it was opened
}

func startOnTop(t *testing.T, f mysqltest.Flavor, filePos bool, tail ...string) onTop {
	t.Helper()
	config := map[string]string{"innodb-flush-log-at-trx-commit": "1"}
	if f == mysqltest.MariaDB {
		config["gtid-strict-mode"] = "0" // strict mode keeps a from pulling
	}
	x := onTop{duo: startDuo(t, mysqltest.PairOptions{Flavor: f, FilePos: filePos, Config: config}), filePos: filePos}
	x.run(x.a.DB(), "CREATE TABLE app.counters (id INT PRIMARY KEY, v INT)", "INSERT INTO app.counters VALUES (1, 0), (2, 0), (3, 0)")
	x.caughtUp("app.counters")
	x.part2()
	var err error
	x.opened, err = x.d.BinlogPosition(x.ctx(), x.b.DB())
	x.check(err)
	x.run(x.b.DB(), "UPDATE app.counters SET v = v + 1 WHERE id = 3")
	x.run(x.a.DB(), "UPDATE app.counters SET v = v + 100 WHERE id < 3", "INSERT INTO app.counters VALUES (10, 0)")
	x.run(x.b.DB(), "UPDATE app.counters SET v = v + 1", "INSERT INTO app.counters VALUES (20, 0)", "DELETE FROM app.counters WHERE id = 2")
	x.run(x.b.DB(), tail...)
	x.run(x.b.DB(), "UPDATE app.counters SET v = v + 1 WHERE id = 1")
	x.close()
	x.check(x.d.StartReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
	for n := 0; x.value(1) != "2"; n++ {
		if n == 400 {
			t.Fatalf("a does not pull: %s", x.a.Log())
		}
		time.Sleep(25 * time.Millisecond)
	}
	x.check(x.d.StopReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
	return x
}

func (x onTop) value(id int) string {
	x.t.Helper()
	row, err := x.a.Row(x.ctx(), fmt.Sprintf("SELECT COALESCE(SUM(v), -1) AS v FROM app.counters WHERE id = %d", id))
	x.check(err)
	return row["v"]
}

// target is a with what is known about its link.
func (x onTop) target() rewind.Target {
	t := x.duo.target()
	if t.FilePos = x.filePos; x.filePos {
		t.Since = x.had
	}
	return t
}

// errant lists what only a has.
func (x onTop) errant() []binlog.Transaction {
	x.t.Helper()
	var list []binlog.Transaction
	for _, t := range x.errantSince() {
		if t.Server == x.a.ServerID {
			list = append(list, t)
		}
	}
	return list
}

// reattach makes a follow b as failover does.
func (x onTop) reattach() {
	x.t.Helper()
	server := func(name string, s *mysqltest.Server) rejoin.Server {
		return rejoin.Server{Instance: topology.Instance{Name: name, Address: s.Addr()}, DB: s.DB(), Dialect: x.d, ControlUser: "root"}
	}
	d := coord.Departure{Server: "a", FilePos: x.filePos, Binlog: x.opened.String()}
	x.check(rejoin.Reattach(x.ctx(), server("a", x.a), server("b", x.b), rejoin.Account{}, d))
	x.caughtUp("app.counters")
}

// interrupt lets the process be killed at a stage, and the server too: its links start by themselves.
func (x onTop) interrupt(plan rewind.Plan, stage rewind.Stage) rewind.Report {
	x.t.Helper()
	x.check(rewind.UndoUntil(x.ctx(), x.target(), plan, x.t.TempDir(), stage))
	x.a.Kill9()
	x.check(x.a.Restart(x.ctx(), map[string]string{"read-only": "1", "innodb-flush-log-at-trx-commit": "1"}))
	x.run(x.b.DB(), "UPDATE app.counters SET v = v + 1")
	time.Sleep(1200 * time.Millisecond) // a link that could bring something would have
	x.close()
	x.check(x.d.StopReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
	report, ok, err := rewind.Resume(x.ctx(), x.target())
	if err != nil || !ok {
		x.t.Fatalf("resumed %t: %v", ok, err)
	}
	return report
}

// TestReplicatedOnTopIsUndoneAndFetchedAgain: a's own link has pulled b's changes of the same rows before a was closed.
func TestReplicatedOnTopIsUndoneAndFetchedAgain(t *testing.T) {
	for _, f := range flavors {
		for _, filePos := range []bool{false, true} {
			for _, stage := range []rewind.Stage{uninterrupted, rewind.Committed, rewind.Emptied, rewind.Replaced} {
				t.Run(fmt.Sprintf("%s/file position %t/stage %d", f, filePos, stage), func(t *testing.T) {
					x := startOnTop(t, f, filePos)
					plan, err := rewind.MakePlan(x.ctx(), x.target(), x.errant())
					x.check(err)
					if len(plan.Transactions) != 2 || plan.Rows != 3 || plan.Refetch < 4 {
						t.Errorf("planned %d transactions, %d rows, %d to fetch again", len(plan.Transactions), plan.Rows, plan.Refetch)
					}
					var report rewind.Report
					if stage == uninterrupted {
						report, err = rewind.Undo(x.ctx(), x.target(), plan, t.TempDir())
						x.check(err)
					} else {
						report = x.interrupt(plan, stage)
					}
					if report.Transactions != 2 || report.Refetch != plan.Refetch {
						t.Errorf("report %+v", report)
					}
					if got := x.value(1) + x.value(2) + x.value(10) + x.value(20); got != "00-1-1" {
						t.Errorf("the rows are %s", got)
					}
					text, err := os.ReadFile(report.File)
					x.check(err)
					if n := strings.Count(string(text), "\nBEGIN;\n"); n != 2 || strings.Contains(string(text), "(20, 0)") {
						t.Errorf("kept %d transactions: %s", n, text)
					}
					x.run(x.b.DB(), "UPDATE app.counters SET v = v + 5")
					x.reattach()
				})
			}
		}
	}
}

// TestFailedRewindLeavesTheLinkAsItWas: nothing is undone, and a goes on where it was.
func TestFailedRewindLeavesTheLinkAsItWas(t *testing.T) {
	for _, f := range flavors {
		for _, filePos := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/file position %t", f, filePos), func(t *testing.T) {
				x := startOnTop(t, f, filePos)
				plan, err := rewind.MakePlan(x.ctx(), x.target(), x.errant())
				x.check(err)
				c := x.session(x.a)
				x.check(x.a.SetReadOnly(x.ctx(), false))
				x.run(c, "SET SESSION sql_log_bin = 0", "UPDATE app.counters SET v = 77 WHERE id = 1")
				x.close()
				if _, err := rewind.Undo(x.ctx(), x.target(), plan, t.TempDir()); !errors.Is(err, rewind.ErrChanged) {
					t.Errorf("undone: %v", err)
				}
				x.run(x.b.DB(), "INSERT INTO app.counters VALUES (30, 30)")
				x.check(x.d.StartReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
				for n := 0; x.value(30) != "30"; n++ {
					if n == 400 {
						t.Fatalf("a does not go on: %s", x.a.Log())
					}
					time.Sleep(25 * time.Millisecond)
				}
			})
		}
	}
}

// TestOwnDefinitionsOnTopStay: a watchdog that b got as the primary, and that a has replicated, does not stand in the way.
func TestOwnDefinitionsOnTopStay(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startOnTop(t, f, false, append(flavor.SchemaSQL(),
				"CREATE TABLE IF NOT EXISTS onewriter.lease (server_id INT UNSIGNED PRIMARY KEY, expires BIGINT NOT NULL)",
				"INSERT INTO onewriter.lease VALUES (2, 1)",
				"CREATE EVENT IF NOT EXISTS onewriter.watchdog ON SCHEDULE EVERY 1 HOUR DO SELECT 1",
				"ALTER EVENT onewriter.watchdog ON SCHEDULE EVERY 2 HOUR ON COMPLETION PRESERVE ENABLE DO SELECT 2")...)
			plan, err := rewind.MakePlan(x.ctx(), x.target(), x.errant())
			x.check(err)
			report, err := rewind.Undo(x.ctx(), x.target(), plan, t.TempDir())
			x.check(err)
			if report.Transactions != 2 || report.Refetch != plan.Refetch {
				t.Errorf("report %+v", report)
			}
			x.reattach()
			x.caughtUp("onewriter.lease")
		})
	}
}

// TestReplicatedStatementIsRefused: a statement that was replicated on top has no row images either.
func TestReplicatedStatementIsRefused(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startOnTop(t, f, false, "CREATE TABLE app.fresh (id INT PRIMARY KEY)")
			_, err := rewind.MakePlan(x.ctx(), x.target(), x.errant())
			if !errors.Is(err, rewind.ErrRefused) || !strings.Contains(err.Error(), "which was replicated, holds a statement, which has no row images: CREATE TABLE app.fresh") {
				t.Errorf("planned: %v", err)
			}
		})
	}
}
