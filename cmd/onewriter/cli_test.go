package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/admin/api"
)

// execute runs the command line args and returns its output and exit code.
func execute(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var b bytes.Buffer
	root := newRootCommand()
	root.SetOut(&b)
	root.SetErr(&b)
	code = runRoot(t.Context(), root, args)
	return b.String(), code
}

// remoteCluster is what the endpoint of these tests serves.
type remoteCluster struct{ err error }

func (remoteCluster) Name() string { return "orders" }
func (remoteCluster) Status() api.Cluster {
	lag := 0.25
	return api.Cluster{
		Name: "orders", State: "running", Primary: "a", Epoch: 7, Reasons: []string{"Something is odd."},
		Servers: []api.Server{
			{Name: "a", Address: "10.0.0.1:3306", Role: "primary", Healthy: true, Version: "10.11.9-MariaDB", Position: "0-10-" + strings.Repeat("9", 80)},
			{Name: "b", Address: "10.0.0.2:3306", Role: "standby", Healthy: true, ReadOnly: true, Version: "10.11.9-MariaDB", LagSeconds: &lag, Problems: []string{"It is slow."}},
		},
		Listeners: []api.Listener{{Address: "[::]:6446", Route: "primary", Sessions: 3}},
	}
}
func (remoteCluster) Sessions() []api.Session {
	return []api.Session{{ID: 5, HandshakeID: 90, User: "app", Client: "10.0.0.9:1", Listener: "[::]:6446", Target: "a", ConnectionID: 91, InTransaction: true, Commands: 3, Since: time.Now()}}
}

func (remoteCluster) Kill(_ context.Context, id uint64) (api.Session, error) {
	if id != 5 {
		return api.Session{}, admin.ErrNoSession
	}
	return api.Session{ID: id, HandshakeID: 90, User: "app", Client: "10.0.0.9:1"}, nil
}

func (c remoteCluster) Switchover(_ context.Context, req api.SwitchoverRequest) (api.Switchover, error) {
	if req.DryRun {
		return api.Switchover{
			From: "a", To: "b", Outcome: "dry_run", PredictedPauseMS: 12,
			Blockers: []api.Blocker{{ID: 5, User: "app", Host: "h", Seconds: 3, Reason: "a long transaction"}},
		}, c.err
	}
	return api.Switchover{
		ID: "x", From: "a", To: "b", Epoch: 8, Outcome: "completed", PauseMS: 4.5, Phases: []api.Phase{{Name: "fence", MS: 2}},
		SessionsMoved: 3, SessionsClosed: []api.ClosedSession{{ID: 4, Reason: "temporary table"}},
	}, c.err
}

func (c remoteCluster) Failover(_ context.Context, req api.FailoverRequest) (api.Failover, error) {
	f := api.Failover{From: "a", To: "b", Loss: api.Loss{AtLeast: 2, Sentence: "At least 2 transactions of a are missing."}, Outcome: "dry_run"}
	if req.DryRun {
		f.Refusals = []string{"The loss is above the limit."}
		return f, c.err
	}
	f.Epoch, f.Outcome, f.Fence, f.PauseMS, f.Phases = 8, "completed", "fenced-by-death", 900, []api.Phase{{Name: "apply", MS: 30}}
	f.SessionsClosed = []api.ClosedSession{{ID: 6, Reason: "a transaction was open"}}
	return f, c.err
}

func (c remoteCluster) Rejoin(_ context.Context, server string, req api.RejoinRequest) (api.Rejoin, error) {
	r := api.Rejoin{Server: server, Method: req.Method, Outcome: "completed", Verdict: "clean"}
	if req.DryRun {
		r.Outcome, r.Verdict = "dry_run", "diverged"
		r.Errant = slices.Repeat([]api.ErrantTransaction{{GTID: "0-1-9", Tables: map[string]int{"app.t": 3, "app.s": 1}}}, maxErrant+2)
	}
	return r, c.err
}

func (remoteCluster) Findings() api.Doctor {
	at := time.Now()
	return api.Doctor{Cluster: "orders", Checks: 30, At: &at}
}

func (c remoteCluster) Examine(context.Context) api.Doctor {
	d := c.Findings()
	d.Findings = []api.Finding{{Code: "LOG_BIN_OFF", Severity: "critical", Server: "b", Summary: "It logs nothing.", Evidence: []string{"log_bin=0"}, Fix: []string{"log_bin=1"}, Blocks: true}}
	return d
}

func (c remoteCluster) SelfTest(context.Context) api.SelfTest {
	return api.SelfTest{Cluster: "orders", Primary: "a", OK: c.err == nil, Legs: []api.Leg{{From: "a", To: "b", OK: c.err == nil, RoundTripMS: 4}, {From: "b", To: "a", Reverse: true, OK: true}}}
}

// remoteJournal is a journal of one failover.
type remoteJournal struct{}

func (remoteJournal) Events(uint64) []api.Event { return nil }
func (remoteJournal) Follow(ctx context.Context, _ uint64, _ func(api.Event) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (remoteJournal) History(f admin.HistoryFilter) ([]api.Event, error) {
	return []api.Event{{Seq: 1, Cluster: f.Cluster, Kind: "verdict", Outcome: "CONFIRMED_DOWN", Primary: "a", Reasons: []string{"a refuses connections."}}}, nil
}

func (j remoteJournal) Report(cluster, operation string) (api.Report, error) {
	if operation == "none" {
		return api.Report{}, admin.ErrNoOperation
	}
	before, err := j.History(admin.HistoryFilter{Cluster: cluster})
	ended := time.Now()
	return api.Report{
		Operation: "fo-1", Cluster: cluster, What: "failover", Outcome: "completed", From: "a", To: "b", Epoch: 8, Ended: &ended, TookMS: 900, Fence: "not-fenced",
		Loss: &api.Loss{Sentence: "Nothing that was acknowledged is lost."}, Clients: &api.Clients{PauseMS: 900, Closed: 2, Because: "2 × a transaction was open"},
		Before: before, Steps: []api.Event{{Kind: "step", Step: "promote", Outcome: "ok", MS: 5, Evidence: map[string]string{"flags": "read_only = 0"}}},
	}, err
}

func endpoint(t *testing.T, err error) string {
	t.Helper()
	s, nerr := admin.New(admin.Config{
		Address: "127.0.0.1:0", Clusters: []admin.Cluster{remoteCluster{err}}, Journal: remoteJournal{}, Registry: prometheus.NewRegistry(), Logger: zerolog.Nop(),
	})
	if nerr != nil {
		t.Fatal(nerr)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return h.URL
}

func wantAll(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("%q is not in:\n%s", w, out)
		}
	}
}

func TestSessionsAndKillCommands(t *testing.T) {
	url := endpoint(t, nil)
	out, code := execute(t, "sessions", "--admin", url)
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "SERVER ID", "90", "91", "10.0.0.9:1", "app")
	if out, code = execute(t, "sessions", "--admin", url, "-o", "json"); code != exitOK || !strings.Contains(out, `"handshake_id": 90`) {
		t.Errorf("%d %s", code, out)
	}
	out, code = execute(t, "kill", "90", "--admin", url)
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "90 of app from 10.0.0.9:1")
	for arg, want := range map[string]string{"5": "no client of cluster orders has the connection id 5", "x": "no connection id", "0": "no connection id"} {
		if out, code := execute(t, "kill", arg, "--admin", url); code == exitOK || !strings.Contains(out, want) {
			t.Errorf("kill %s: %d %s", arg, code, out)
		}
	}
}

func TestStatusCommand(t *testing.T) {
	url := endpoint(t, nil)
	out, code := execute(t, "status", "--admin", url)
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "cluster orders: running, primary a, epoch 7", "10.0.0.2:3306", "standby", "250ms", "! Something is odd.", "! b: It is slow.", "[::]:6446 serves the primary to 3 sessions")
	out, _ = execute(t, "status", "--admin", url, "-o", "json", "--cluster", "orders")
	var c api.Cluster
	if err := json.Unmarshal([]byte(out), &c); err != nil || c.Epoch != 7 {
		t.Errorf("%v\n%s", err, out)
	}
	for _, args := range [][]string{{"status", "--admin", url, "-o", "xml"}, {"status", "--admin", url, "--cluster", "nope"}, {"status", "--admin", "127.0.0.1:1"}, {"status", "extra"}, {"nonsense"}} {
		out, code = execute(t, args...)
		if code != exitFailed || strings.Count(strings.TrimSpace(out), "\n") > 3 || strings.Contains(out, "Usage:") {
			t.Errorf("%v: exit code %d and\n%s", args, code, out)
		}
	}
}

func TestSwitchoverCommand(t *testing.T) {
	out, code := execute(t, "switchover", "--admin", endpoint(t, nil), "--to", "b")
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "moved from a to b, epoch 8", "4.5 ms", "fence", "3 sessions moved, 1 were closed", "session 4: temporary table")
	out, code = execute(t, "switchover", "--admin", endpoint(t, nil), "--dry-run")
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "predicted pause is 12.0 ms", "Nothing was changed", "connection 5 (app@h, 3.0 s): a long transaction")

	for name, c := range map[string]struct {
		err  error
		code int
		want string
	}{
		"refused":    {&admin.RefusedError{Reasons: []string{"The standby lags."}}, exitRefused, "The standby lags."},
		"aborted":    {&admin.AbortedError{Phase: "fence", Reasons: []string{"Blocked."}}, exitAborted, "step: fence"},
		"unresolved": {&admin.AbortedError{Phase: "fence", Unresolved: true}, exitFailed, "not certain"},
		"failed":     {context.DeadlineExceeded, exitFailed, "could not be carried out"},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := execute(t, "switchover", "--admin", endpoint(t, c.err))
			if code != c.code {
				t.Errorf("exit code %d", code)
			}
			wantAll(t, out, c.want)
			out, code = execute(t, "switchover", "--admin", endpoint(t, c.err), "-o", "json")
			if code != c.code || !json.Valid([]byte(out)) {
				t.Errorf("exit code %d and\n%s", code, out)
			}
		})
	}
}

func TestConfigCommands(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	text := "clusters:\n  - name: c\n    servers: [{name: a, address: '127.0.0.1:1'}]\n    listeners: [{address: ':6446', route: primary}]\n" +
		"    control: {user: u, password: geheim}\n"
	for path, content := range map[string]string{good: text, bad: text + "nonsense: 1\nlog: {level: x}\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, code := execute(t, "config", "check", good)
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "ok\n", "listener  :6446", "127.0.0.1:8989")
	out, code = execute(t, "config", "check", bad)
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "2 problems", "nonsense: is not a known key, line 6", "log.level")
	out, code = execute(t, "config", "print", good)
	if code != exitOK || strings.Contains(out, "geheim") {
		t.Errorf("exit code %d and\n%s", code, out)
	}
	wantAll(t, out, "hold_timeout: 10s", "***")
	if _, code = execute(t, "config", "check", filepath.Join(dir, "missing.yaml")); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	// Nobody answers, so the SQL is printed for both flavours.
	out, code = execute(t, "setup", "--config", good, "--print")
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "(mariadb)", "(mysql)", "CREATE DATABASE IF NOT EXISTS onewriter", "GRANT", "only for MariaDB 10.4 and older", "GRANT SUPER, PROCESS")
	out, code = execute(t, "setup", "--config", good)
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "no server could be asked", "127.0.0.1:1")
}

func TestVersionCommand(t *testing.T) {
	out, code := execute(t, "version")
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, out, "onewriter ", "commit ", "go1.", "runtime settings: ")
}
