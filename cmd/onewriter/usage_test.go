package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatWasMeant(t *testing.T) {
	for line, want := range map[string]string{
		"swichover":                   "`onewriter` has no command \"swichover\": did you mean `onewriter switchover`?; see `onewriter --help`",
		"swichover --dry-run":         "did you mean `onewriter switchover`?",
		"promote":                     "did you mean `onewriter switchover`?",
		"zzz":                         "`onewriter` has no command \"zzz\"; see",
		"config chek x.yaml":          "`onewriter config` has no command \"chek\": did you mean `onewriter config check`?",
		"config validate x.yaml":      "did you mean `onewriter config check`?",
		"switchover b":                "`onewriter switchover` does not take the argument \"b\": did you mean --to b?",
		"status orders":               "did you mean --cluster orders?",
		"version x":                   "`onewriter version` does not take the argument \"x\"; see",
		"kill":                        "`onewriter kill` needs ID",
		"switchover --dryrun":         "`onewriter switchover` has no flag --dryrun: did you mean --dry-run?",
		"status --config x.yaml":      "`onewriter status` has no flag --config, only `onewriter serve`, `onewriter setup`; this one asks a running process, at the address of --admin",
		"status --qqqqqqq":            "`onewriter status` has no flag --qqqqqqq; see `onewriter status --help`",
		"status -x":                   "unknown shorthand flag",
		"status --interval soon":      "invalid argument \"soon\"",
		"config check a.yaml b.yaml":  "does not take the argument \"b.yaml\"",
		"failover --force --too long": "did you mean --to?",
	} {
		out, code := execute(t, strings.Fields(line)...)
		if code != exitFailed || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: exit code %d\ngot  %swant %s", line, code, out, want)
		}
	}
}

// TestAdminAddress checks where commands look for the process.
func TestAdminAddress(t *testing.T) {
	t.Setenv("ONEWRITER_ADMIN_ADDRESS", "127.0.0.1:2")
	if out, code := execute(t, "status"); code != exitFailed || !strings.Contains(out, "127.0.0.1:2:") {
		t.Errorf("the option of the process: %d %s", code, out)
	}
	t.Setenv("ONEWRITER_ADMIN", "127.0.0.1:1")
	if out, code := execute(t, "status"); code != exitFailed || !strings.Contains(out, "127.0.0.1:1:") {
		t.Errorf("the variable for commands: %d %s", code, out)
	}
}

// TestDefaultFile checks that all commands look for the same file when none is named.
func TestDefaultFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if out, code := execute(t, "config", "check"); code != exitFailed || !strings.Contains(out, "onewriter.yaml") {
		t.Errorf("%d %s", code, out)
	}
	if err := os.WriteFile(filepath.Join(".", "onewriter.yaml"), []byte("nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := execute(t, "config", "check"); code != exitFailed || !strings.Contains(out, "nonsense: is not a known key") {
		t.Errorf("%d %s", code, out)
	}
}
