package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/admin/api"
)

// wantRun runs a command line against url and checks its exit code and output.
func wantRun(t *testing.T, url string, code int, args []string, want ...string) {
	t.Helper()
	out, got := execute(t, append(args, "--admin", url)...)
	if got != code {
		t.Errorf("%v: exit code %d, want %d:\n%s", args, got, code, out)
	}
	wantAll(t, out, want...)
}

func TestFailoverCommand(t *testing.T) {
	url := endpoint(t, nil)
	wantRun(t, url, exitOK, []string{"failover", "--to", "b"}, "moved from a to b, epoch 8", "900.0 ms", "fenced by death", "loss: At least 2", "apply", "session 6: a transaction was open")
	wantRun(t, url, exitOK, []string{"failover", "--dry-run"}, "would make b the primary in place of a", "without --force", "The loss is above the limit.", "loss: At least 2")
	wantRun(t, endpoint(t, &admin.RefusedError{Reasons: []string{"The primary answers."}}), exitRefused, []string{"failover"}, "The failover was refused", "The primary answers.")
	wantRun(t, endpoint(t, &admin.AbortedError{Phase: "apply"}), exitAborted, []string{"failover"}, "step: apply")
}

func TestFailoverDryRunWithoutCandidate(t *testing.T) {
	var b strings.Builder
	if err := printFailover(&b, api.Failover{From: "a", Outcome: "dry_run", Refusals: []string{"No standby can take over."}, Loss: api.Loss{Sentence: "odd"}}); err != nil {
		t.Fatal(err)
	}
	wantAll(t, b.String(), "Nobody could take over from a", "No standby can take over.")
	if strings.Contains(b.String(), "odd") {
		t.Errorf("a loss of nothing: %s", b.String())
	}
}

func TestRejoinCommand(t *testing.T) {
	url := endpoint(t, nil)
	wantRun(t, url, exitOK, []string{"rejoin", "a", "--rewind"}, "a is a standby again", "verdict: clean")
	wantRun(t, url, exitOK, []string{"rejoin", "a", "--dry-run"}, "nothing was brought back", "22 transactions that only a has", "0-1-9  app.s: 1 rows  app.t: 3 rows", "and 2 more")
	wantRun(t, url, exitFailed, []string{"rejoin", "a", "--rewind", "--discard"}, "rewind")
	wantRun(t, url, exitFailed, []string{"rejoin"}, "needs SERVER")
	diverged := &admin.RefusedError{Reasons: []string{"It has more."}, Rejoin: &api.Rejoin{Server: "a", Verdict: "diverged", Commands: []string{"mariadb-backup --backup"}}}
	wantRun(t, endpoint(t, diverged), exitRefused, []string{"rejoin", "a"}, "It has more.", "verdict: diverged", "mariadb-backup --backup")
	out, _ := execute(t, "rejoin", "a", "--rebuild", "-o", "json", "--admin", url)
	var r api.Rejoin
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Method != "rebuild" || r.Server != "a" {
		t.Errorf("%v in %s", err, out)
	}
}

func TestDoctorCommand(t *testing.T) {
	url := endpoint(t, nil)
	wantRun(t, url, exitCritical, []string{"doctor"}, "CRITICAL LOG_BIN_OFF (b, blocks automatic failover)", "It logs nothing.", "seen: log_bin=0", "fix:  log_bin=1")
	wantRun(t, url, exitOK, []string{"doctor", "--last"}, "30 checks", "0 findings")
	wantRun(t, url, exitOK, []string{"doctor", "--self-test"}, "replication works", "a -> b: ok, round trip 4.0 ms", "b -> a: ok")
	wantRun(t, endpoint(t, errors.New("x")), exitCritical, []string{"doctor", "--self-test", "-q"}, "does NOT work", "a -> b: FAILED")
	if out, code := execute(t, "doctor", "--self-test", "-q", "--admin", url); out != "" || code != exitOK {
		t.Errorf("exit code %d and %q", code, out)
	}
	for severity, code := range map[string]int{"info": exitOK, "warning": exitWarnings, "critical": exitCritical} {
		if got := doctorCode(api.Doctor{Findings: []api.Finding{{Severity: severity}}}); got != code {
			t.Errorf("%s: exit code %d", severity, got)
		}
	}
	if got := doctorCode(api.Doctor{Failed: []string{"x"}}); got != exitWarnings {
		t.Errorf("a check that could not be made: exit code %d", got)
	}
}

func TestHistoryAndReportCommands(t *testing.T) {
	url := endpoint(t, nil)
	wantRun(t, url, exitOK, []string{"history", "--since", "1h", "--kind", "verdict,state"}, "verdict CONFIRMED_DOWN primary a", "- a refuses connections.")
	wantRun(t, url, exitOK, []string{"report"}, "failover fo-1 of cluster orders: completed", "from a to b, epoch 8", "NOT fenced", "Nothing that was acknowledged is lost.",
		"no writes for 900.0 ms", "2 × a transaction was open", "what led to it:", "CONFIRMED_DOWN", "step promote ok (5.0 ms)", `flags="read_only = 0"`)
	wantRun(t, url, exitFailed, []string{"report", "none"}, "knows no operation none")
	out, _ := execute(t, "report", "last", "-o", "json", "--admin", url)
	if !json.Valid([]byte(out)) {
		t.Errorf("no JSON: %s", out)
	}
}

func TestStatusShowsWhatIsWrong(t *testing.T) {
	notes := strings.Join(failoverNotes(api.Cluster{
		Verdict: api.Verdict{Kind: "MY_LINK", Evidence: []string{"b still receives from a."}}, Blocked: []string{"Two servers have server_id 1."},
		Away: []api.AwayServer{{Server: "c", Epoch: 4, Why: "failover", Fence: "fenced-by-death", Loss: api.Loss{Sentence: "3 are missing."}}},
	}), "\n")
	wantAll(t, notes, "verdict MY_LINK", "b still receives from a.", "no automatic failover: Two servers", "c is away since epoch 4 (failover, fenced-by-death), verdict: not back yet. 3 are missing.")
	twice := api.Cluster{Reasons: []string{"a refuses connections: x (2 probes in 50ms)."}, Verdict: api.Verdict{Kind: "SUSPECT", Evidence: []string{"a refuses connections: x (16 probes in 800ms).", "b is silent."}}}
	if notes := failoverNotes(twice); !slices.Equal(notes, []string{"  verdict SUSPECT", "    - b is silent."}) {
		t.Errorf("what is among the reasons is told twice: %q", notes)
	}
	if notes := failoverNotes(api.Cluster{Verdict: api.Verdict{Kind: "FINE", Evidence: []string{"x"}}}); len(notes) != 0 {
		t.Errorf("%v", notes)
	}
}
