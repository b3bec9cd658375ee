package rewind_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

var threeTables = []string{"app.loose", "app.types", "app.words"}

// TestHundredTransactionsAreUndone is the whole way: a has written what b never got, b has gone on, a comes back.
func TestHundredTransactionsAreUndone(t *testing.T) {
	for _, f := range flavors {
		for name, config := range map[string]map[string]string{"as shipped": nil, "full metadata": {"binlog-row-metadata": "FULL"}} {
			t.Run(f.String()+"/"+name, func(t *testing.T) {
				x := startDuo(t, mysqltest.PairOptions{Flavor: f, Config: config})
				x.tables()
				x.part()
				a := &writer{x: x, db: x.session(x.a), rand: rand.New(rand.NewPCG(3, uint64(f))), n: 1000}
				b := &writer{x: x, db: x.session(x.b), rand: rand.New(rand.NewPCG(4, uint64(f))), n: 2000}
				for range 100 {
					a.step()
				}
				for range 20 {
					b.step()
				}
				x.close()
				began := time.Now()
				plan, err := x.plan()
				x.check(err)
				report, err := rewind.Undo(x.ctx(), x.target(), plan, t.TempDir())
				x.check(err)
				x.rejoin()
				x.equal(threeTables...)
				t.Logf("%d transactions, %d rows: undone in %s, from the comparison to equal checksums %s", report.Transactions, report.Rows, report.Took, time.Since(began))
				if report.Transactions != 100 || report.Rows != plan.Rows || report.Rows < 100 || strings.Join(plan.Tables, " ") != strings.Join(threeTables, " ") {
					t.Errorf("report %+v, tables %q", report, plan.Tables)
				}
				if left := x.errant(); len(left) != 0 {
					t.Errorf("%d transactions are still errant", len(left))
				}
				x.quietAgain()
				x.keeps(report.File, plan)
			})
		}
	}
}

// quietAgain checks that a is as closed as before and nothing of the rewind is left on it.
func (x *duo) quietAgain() {
	x.t.Helper()
	ro, super, err := x.d.ReadOnly(x.ctx(), x.a.DB())
	if err != nil || !ro || super != (x.a.Flavor == mysqltest.MySQL) {
		x.t.Errorf("read_only %t, super_read_only %t, %v", ro, super, err)
	}
	row, err := x.a.Row(x.ctx(), "SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema = 'onewriter'")
	if err != nil || row["n"] != "0" {
		x.t.Errorf("left in the schema onewriter: %v, %v", row, err)
	}
}

// keeps checks the file by doing what it says on a after it has been undone there: the rows are the errant ones again.
func (x *duo) keeps(path string, p rewind.Plan) {
	x.t.Helper()
	text, err := os.ReadFile(path)
	x.check(err)
	if n := strings.Count(string(text), "\nBEGIN;\n"); n != len(p.Transactions) {
		x.t.Errorf("the file has %d transactions, want %d", n, len(p.Transactions))
	}
	for _, tr := range p.Transactions {
		if !strings.Contains(string(text), tr.GTID) || !strings.Contains(string(text), tr.Place.String()) {
			x.t.Errorf("the file does not name %s at %s", tr.GTID, tr.Place)
		}
	}
}
