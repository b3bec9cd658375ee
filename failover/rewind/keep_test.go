package rewind_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/failover/rewind"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestKeptFileMakesTheRowsAgain executes the file on the server where the rows were undone: then they are as before.
func TestKeptFileMakesTheRowsAgain(t *testing.T) {
	for _, f := range flavors {
		t.Run(f.String(), func(t *testing.T) {
			x := startDuo(t, mysqltest.PairOptions{Flavor: f})
			x.tables()
			x.part()
			start := x.sums()
			a := &writer{x: x, db: x.session(x.a), rand: rand.New(rand.NewPCG(7, 7)), n: 1000}
			for range 40 {
				a.step()
			}
			x.close()
			errant := x.sums()
			plan, err := x.plan()
			x.check(err)
			report, err := rewind.Undo(x.ctx(), x.target(), plan, t.TempDir())
			x.check(err)
			if got := x.sums(); got != start || start == errant {
				t.Errorf("after undoing %s, want %s; in between %s", got, start, errant)
			}
			x.check(x.a.SetReadOnly(x.ctx(), false))
			x.execute(report.File)
			if got := x.sums(); got != errant {
				t.Errorf("after executing the file %s, want %s", got, errant)
			}
		})
	}
}

// sums gives the checksums of the three tables of a.
func (x *duo) sums() string {
	x.t.Helper()
	var out []string
	for _, table := range threeTables {
		row, err := x.a.Row(x.ctx(), "CHECKSUM TABLE "+table)
		x.check(err)
		out = append(out, row["Checksum"])
	}
	return strings.Join(out, " ")
}

// execute lets the flavour's own client execute the file on a.
func (x *duo) execute(path string) {
	x.t.Helper()
	client, err := mysqltest.Client(x.a.Flavor)
	x.check(err)
	text, err := os.ReadFile(path)
	x.check(err)
	args := append(client[1:], "-h127.0.0.1", fmt.Sprintf("-P%d", x.a.Port), "-uroot", "-p"+mysqltest.RootPassword, "--binary-mode", "app")
	c := exec.CommandContext(x.ctx(), client[0], args...)
	c.Stdin = bytes.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		x.t.Fatalf("%v: %s", err, out)
	}
}
