package integration

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// run executes a command of the program against o and checks its exit code and what it prints.
func (o *onewriter) run(code int, args []string, want ...string) string {
	o.t.Helper()
	out, err := exec.Command(executable, append(args, "--admin", o.admin)...).CombinedOutput()
	got := 0
	if ee := (*exec.ExitError)(nil); errors.As(err, &ee) {
		got = ee.ExitCode()
	} else if err != nil {
		o.t.Fatal(err)
	}
	o.t.Logf("onewriter %s: exit code %d\n%s", strings.Join(args, " "), got, out)
	if got != code {
		o.t.Errorf("exit code %d, want %d", got, code)
	}
	for _, w := range want {
		if !strings.Contains(string(out), w) {
			o.t.Errorf("%q is not in the output of %v", w, args)
		}
	}
	return string(out)
}

// An operator gets a cluster through the death and the return of its primary with the command line alone, and the journal
// tells of it after a restart.
func TestOperatorCommands(t *testing.T) {
	eachFlavor(t, func(t *testing.T, f mysqltest.Flavor) {
		p := newPatient(t, mysqltest.PairOptions{Flavor: f, StartReadOnly: true}, "")
		o := p.o
		o.run(0, []string{"doctor", "--self-test"}, "replication works", "a -> b: ok")
		setup := exec.Command(executable, "setup", "--print", "--config", o.config)
		setup.Env = append(os.Environ(), "ONEWRITER_CLUSTERS_0_CONTROL_PASSWORD=wrong") // which software it is takes no login
		if out, err := setup.CombinedOutput(); err != nil || strings.Count(string(out), "as an administrator (") != 1 || !strings.Contains(string(out), "as an administrator ("+f.String()+")") {
			t.Errorf("setup --print: %v\n%s", err, out)
		}
		o.run(1, []string{"history", "--kind", "begn"}, `there is no kind of event "begn"; the kinds are state,`)
		o.run(1, []string{"report", "sw-1"}, "`onewriter history --kind begin,refused` lists")
		o.run(2, []string{"failover"}, "The primary a answers")
		o.run(2, []string{"rejoin", "b"}, "b is not away")
		o.run(2, []string{"rejoin", "c"}, `There is no server "c"; the servers are a, b.`)
		p.server("a").Kill9()
		o.eventually(20*time.Second, "the death is noticed", func() error {
			if st := o.status(); st.Verdict.Kind != "CONFIRMED_DOWN" {
				return errors.New(st.Verdict.Kind)
			}
			return nil
		})
		o.run(0, []string{"status"}, "verdict CONFIRMED_DOWN", "refuses connections")
		o.run(0, []string{"failover", "--dry-run"}, "would make b the primary in place of a", "loss: ")
		time.Sleep(time.Second)
		out := o.run(0, []string{"failover", "--output", "json"}, `"fence": "fenced-by-death"`)
		var done struct {
			To      string
			PauseMS float64 `json:"pause_ms"`
		}
		if err := json.Unmarshal([]byte(out), &done); err != nil || done.To != "b" || done.PauseMS < 1000 {
			t.Errorf("%v: clients have waited since the primary was in doubt: %s", err, out)
		}
		mustExec(t, open(t, o.primary, ""), "CREATE TABLE after_failover (id INT PRIMARY KEY)")
		o.run(0, []string{"status"}, "a is away")
		p.restart("a")
		p.healthy(time.Minute)
		report := []string{"report", "--output", "json"}
		o.run(0, []string{"history", "--kind", "begin,end"}, "end completed primary b", "[fo-")
		o.run(2, []string{"switchover", "--to", "nobody"}, "nobody")
		o.run(0, []string{"report"}, "failover fo-", "was refused at")
		before := o.run(0, report, `"what": "`)
		o.restartWith(t, "")
		if after := o.run(0, report); after != before {
			t.Errorf("the report is another one after a restart")
		}
		o.run(0, []string{"history", "--kind", "verdict", "-n", "100"}, "verdict CONFIRMED_DOWN primary a", "refuses connections")
	})
}
