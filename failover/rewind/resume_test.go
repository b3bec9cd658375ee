package rewind_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestInterruptedRewindIsResumed kills the server, whose links start by themselves when it comes back, at each stage
// between the commit of the undone rows and the end.
func TestInterruptedRewindIsResumed(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startDuo(t, mysqltest.PairOptions{Flavor: f, Config: map[string]string{"innodb-flush-log-at-trx-commit": "1"}})
			x.tables()
			a := &writer{x: x, db: x.a.DB(), rand: rand.New(rand.NewPCG(5, 5)), n: 1000}
			b := &writer{x: x, db: x.b.DB(), rand: rand.New(rand.NewPCG(6, 6)), n: 2000}
			for i, stage := range []rewind.Stage{rewind.Committed, rewind.Emptied, rewind.Replaced} {
				x.part()
				a.n, b.n = 1000+10*i, 2000+10*i
				a.insert()
				b.insert()
				x.close()
				plan, err := x.plan()
				x.check(err)
				x.check(rewind.UndoUntil(x.ctx(), x.target(), plan, t.TempDir(), stage))
				x.a.Kill9()
				x.check(x.a.Restart(x.ctx(), map[string]string{"read-only": "1", "innodb-flush-log-at-trx-commit": "1"}))
				if stage == rewind.Committed { // the link has started by itself and brings what b has written
					x.arrives(b.n)
				}
				x.resumes(3)
				x.rejoin()
				x.equal(threeTables...)
				x.quietAgain()
				x.swap()
			}
		})
	}
}

// arrives waits until a has the word with that number.
func (x *duo) arrives(n int) {
	x.t.Helper()
	for range 400 {
		row, err := x.a.Row(x.ctx(), "SELECT COUNT(*) AS n FROM app.words WHERE w LIKE 'wörd20%'")
		x.check(err)
		if row["n"] != "0" {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	x.t.Fatalf("word %d does not arrive", n)
}

// resumes checks that a says what happened to it, and brings it to its end.
func (x *duo) resumes(rows int) {
	x.t.Helper()
	if _, _, err := rewind.Resume(x.ctx(), x.target()); !errors.Is(err, rewind.ErrNotQuiet) {
		x.t.Errorf("resumed while the links run or the server is open: %v", err)
	}
	x.close()
	x.check(x.d.StopReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
	interrupted, err := rewind.Interrupted(x.ctx(), x.target())
	if err != nil || !interrupted {
		x.t.Fatalf("not recognised: %v", err)
	}
	if _, err := rewind.MakePlan(x.ctx(), x.target(), nil); !errors.Is(err, rewind.ErrInterrupted) {
		x.t.Errorf("planned another one: %v", err)
	}
	r, ok, err := rewind.Resume(x.ctx(), x.target())
	if err != nil || !ok || r.Rows != rows {
		x.t.Fatalf("resumed %t: %+v, %v", ok, r, err)
	}
	if _, err := os.Stat(r.File); err != nil {
		x.t.Error(err)
	}
	if _, ok, err := rewind.Resume(x.ctx(), x.target()); ok || err != nil {
		x.t.Errorf("resumed again: %t, %v", ok, err)
	}
}

// swap makes a the primary again and b its standby.
func (x *duo) swap() {
	x.t.Helper()
	x.check(x.b.SetReadOnly(x.ctx(), true))
	x.settle(x.b, x.a)
	x.check(x.d.StopReplica(x.ctx(), x.a.DB(), "", flavor.BothThreads))
	if x.a.Flavor == mysqltest.MariaDB {
		_, err := flavor.AppliedHistory(x.ctx(), x.b.DB(), x.d)
		x.check(err)
	}
	x.check(x.d.StartReplica(x.ctx(), x.b.DB(), "", flavor.BothThreads))
	x.check(x.a.SetReadOnly(x.ctx(), false))
}

// TestWritesAfterAnInterruptionAreNotForgotten: a server that was opened in between keeps what it has.
func TestWritesAfterAnInterruptionAreNotForgotten(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startDuo(t, mysqltest.PairOptions{Flavor: f})
			x.run(x.a.DB(), "CREATE TABLE app.a (id INT PRIMARY KEY)")
			x.part()
			x.run(x.a.DB(), "INSERT INTO app.a VALUES (1)")
			x.close()
			plan, err := x.plan()
			x.check(err)
			x.check(rewind.UndoUntil(x.ctx(), x.target(), plan, t.TempDir(), rewind.Committed))
			x.check(x.a.SetReadOnly(x.ctx(), false))
			x.run(x.a.DB(), "INSERT INTO app.a VALUES (2)")
			x.close()
			if _, err := rewind.Undo(x.ctx(), x.target(), plan, t.TempDir()); !errors.Is(err, rewind.ErrInterrupted) {
				t.Errorf("undone once more: %v", err)
			}
			was, err := x.d.Position(x.ctx(), x.a.DB())
			x.check(err)
			if _, ok, err := rewind.Resume(x.ctx(), x.target()); !ok || !errors.Is(err, rewind.ErrChanged) {
				t.Errorf("resumed %t, %v", ok, err)
			}
			if now, err := x.d.Position(x.ctx(), x.a.DB()); err != nil || !now.Equal(was) {
				t.Errorf("the history went from %s to %s, %v", was, now, err)
			}
		})
	}
}
