package clients

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/integration/suite"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// slap has the load generators of the client packages run, and the primary role move there and back meanwhile.
func (x tools) slap(t *testing.T) {
	for _, options := range [][]string{
		{"--auto-generate-sql", "--auto-generate-sql-load-type=mixed", "--number-of-queries=200", "--iterations=2"},
		{"--auto-generate-sql", "--auto-generate-sql-load-type=update", "--number-of-queries=100", "--detach=7", x.encrypted()},
		{"--auto-generate-sql", "--number-of-queries=100", x.compressed(), "--commit=5"},
	} {
		x.slapped(t, tool(t, x.flavor, x.names["slap"], x.Primary, append(options, "--concurrency=4")...))
	}
	const queries = 600 // of 5 ms by 4 clients
	x.exec(t, "CREATE DATABASE slapped", "CREATE TABLE slapped.t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)")
	for round := 1; ; round++ {
		done := make(chan struct{})
		load := tool(t, x.flavor, x.names["slap"], x.Primary, "--create-schema=slapped", "--no-drop", "--query=INSERT INTO slapped.t (n) SELECT SLEEP(0.005)",
			"--concurrency=4", fmt.Sprintf("--number-of-queries=%d", queries))
		go func() {
			defer close(done)
			x.slapped(t, load)
		}()
		moved := x.there(t, done)
		<-done
		row, err := x.Pair.Servers[0].Row(t.Context(), "SELECT COUNT(*) AS n FROM slapped.t")
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(round * queries); row["n"] != want {
			t.Errorf("%s rows in the table, want %s: each statement once", row["n"], want)
		}
		if moved || t.Failed() {
			return
		}
		if round == 5 {
			t.Fatal("the load has always ended before the switchover")
		}
	}
}

// there moves the primary role there and back, and reports whether done was still open after the first way.
func (x tools) there(t *testing.T, done <-chan struct{}) (during bool) {
	t.Helper()
	for way := range 2 {
		if err := x.Switchover(t.Context()); err != nil {
			t.Errorf("switchover: %v", err)
			return true
		}
		select {
		case <-done:
		default:
			during = during || way == 0
		}
	}
	return during
}

// slapped runs a mysqlslap, which exits with 0 when its statements fail.
func (x tools) slapped(t *testing.T, cmd *exec.Cmd) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if text := out.String(); err != nil || strings.Contains(strings.ToLower(text), "error") || !strings.Contains(text, "Average number of seconds") {
		t.Errorf("%s: %v: %s", strings.Join(cmd.Args, " "), err, clip(text))
	}
}

var (
	sysbenchTransactions = regexp.MustCompile(`transactions:\s+(\d+)`)
	sysbenchRepeated     = regexp.MustCompile(`ignored errors:\s+(\d+)`)
	sysbenchReconnects   = regexp.MustCompile(`reconnects:\s+(\d+)`)
)

// sysbench runs its OLTP load, with SQL as text and prepared, for ONEWRITER_SYSBENCH_SECONDS each, while the primary role
// moves. Deadlocks (1213) are repeated by sysbench, everything else ends it.
func (x tools) sysbench(t *testing.T) {
	_, err := exec.LookPath("sysbench")
	suite.Need(t, err)
	seconds := number("ONEWRITER_SYSBENCH_SECONDS", 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(4*seconds)*time.Second+2*switchTimeout)
	defer cancel()
	host, port, _ := net.SplitHostPort(x.Primary)
	command := func(args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "sysbench", append([]string{"oltp_read_write", "--db-driver=mysql", "--mysql-host=" + host, "--mysql-port=" + port, "--mysql-db=app",
			"--mysql-user=" + mysqltest.AppUser, "--mysql-password=" + mysqltest.AppPassword, "--tables=2", "--table-size=2000", "--threads=8",
			fmt.Sprintf("--time=%d", seconds)}, args...)...)
	}
	output(t, command("prepare"))
	for _, mode := range []string{"disable", "auto"} {
		done, moves := make(chan struct{}), 0
		cmd := command("--db-ps-mode="+mode, "run")
		var out string
		go func() {
			defer close(done)
			b, err := cmd.CombinedOutput()
			if out = string(b); err != nil {
				t.Errorf("sysbench: %v", err)
			}
		}()
		for running := true; running; moves += 2 {
			running = x.there(t, done)
		}
		<-done
		got := map[string]string{}
		for what, re := range map[string]*regexp.Regexp{"transactions": sysbenchTransactions, "repeated": sysbenchRepeated, "reconnects": sysbenchReconnects} {
			if m := re.FindStringSubmatch(out); m != nil {
				got[what] = m[1]
			}
		}
		if got["reconnects"] != "0" || got["transactions"] == "0" || t.Failed() {
			t.Errorf("sysbench with --db-ps-mode=%s and %d switchovers: %s", mode, moves, clip(out))
		}
		t.Logf("--db-ps-mode=%s: %d switchovers, %s transactions, %s of them repeated", mode, moves, got["transactions"], got["repeated"])
	}
	output(t, command("cleanup"))
}

// switchTimeout bounds the last switchovers of a load.
const switchTimeout = time.Minute
