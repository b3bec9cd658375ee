package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

func TestDemoShowsThatThePromiseHolds(t *testing.T) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) {
			mysqltest.RequireFlavor(t, f)
			d := startDemo(t, "--flavor", f.String(), "--for", "6s", "--output", "json")
			if code := d.exit(90 * time.Second); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			var r struct {
				Flavor         string         `json:"flavor"`
				ServerVersion  string         `json:"server_version"`
				Acknowledged   int            `json:"acknowledged"`
				Lost           *int           `json:"lost"`
				ClientErrors   *int           `json:"client_errors"`
				Switchovers    int            `json:"switchovers"`
				LongestPauseMS float64        `json:"longest_pause_ms"`
				PausesMS       []float64      `json:"pauses_ms"`
				Rows           map[string]int `json:"rows"`
				ChecksumsEqual bool           `json:"checksums_equal"`
				Primary        string         `json:"primary"`
				Errors         []string       `json:"errors"`
				PromiseHeld    bool           `json:"promise_held"`
			}
			if err := json.Unmarshal([]byte(d.stdout.String()), &r); err != nil {
				t.Fatalf("the standard output is not one object: %v:\n%s", err, d.stdout.String())
			}
			switch {
			case r.Flavor != f.String() || r.ServerVersion == "" || r.Primary == "":
				t.Error("the flavor, the version or the primary is not told")
			case r.Acknowledged < 100 || r.Rows["a"] < r.Acknowledged || r.Rows["a"] != r.Rows["b"]:
				t.Error("the numbers of rows make no sense")
			case r.Lost == nil || *r.Lost != 0 || r.ClientErrors == nil || *r.ClientErrors != 0 || len(r.Errors) != 0:
				t.Error("something went wrong for clients")
			case r.Switchovers < 2 || len(r.PausesMS) != r.Switchovers || r.LongestPauseMS <= 0:
				t.Error("the switchovers and their pauses make no sense")
			case !r.ChecksumsEqual || !r.PromiseHeld:
				t.Error("the promise did not hold")
			}
			d.wantNothingLeft()
			t.Logf("%s", d.stdout.String())
		})
	}
}

func TestDemoCleansUpWhenItIsEnded(t *testing.T) {
	mysqltest.RequireFlavor(t, mysqltest.MariaDB)
	for _, c := range []struct {
		name, after string
		signal      syscall.Signal
	}{
		{"Ctrl-C at the start", "Onewriter demo", syscall.SIGINT},
		{"SIGTERM under load", "are connected", syscall.SIGTERM},
		{"a closed terminal", "switchover a -> b", syscall.SIGHUP},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := startDemo(t, "--for", "60s", "--output", "json")
			d.awaitStory(c.after)
			if err := d.cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			if code := d.exit(30 * time.Second); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(d.stdout.String(), `"promise_held": false`) {
				t.Errorf("an interrupted demo claims a result:\n%s", d.stdout.String())
			}
			d.wantNothingLeft()
		})
	}
}

func TestDemoInvitesAndStaysUntilCtrlC(t *testing.T) {
	mysqltest.RequireFlavor(t, mysqltest.MariaDB)
	d := startDemo(t)
	d.awaitStory("Ctrl-C ends everything")
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := d.exit(30 * time.Second); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, want := range []string{"The promise held", "mysql -h127.0.0.1", "status --watch", "curl -X POST", "Cleaning up"} {
		if !strings.Contains(d.stdout.String(), want) {
			t.Errorf("the story lacks %q", want)
		}
	}
	if strings.Contains(d.stdout.String(), "\x1b") {
		t.Error("there are control characters in a story that is no terminal's")
	}
	d.wantNothingLeft()
}

// logBuffer keeps what a program prints.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// demoRun is a running demo with a directory of its own for temporary files.
type demoRun struct {
	t              *testing.T
	tmp            string
	cmd            *exec.Cmd
	stdout, stderr *logBuffer
	exited         chan struct{}
}

func startDemo(t *testing.T, args ...string) *demoRun {
	t.Helper()
	// Not t.TempDir: the paths of sockets below must stay short.
	tmp, err := os.MkdirTemp("", "demo")
	if err != nil {
		t.Fatal(err)
	}
	d := &demoRun{t: t, tmp: tmp, stdout: &logBuffer{}, stderr: &logBuffer{}, exited: make(chan struct{})}
	d.cmd = exec.Command(executable, append([]string{"demo"}, args...)...)
	d.cmd.Stdout, d.cmd.Stderr = d.stdout, d.stderr
	d.cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = d.cmd.Wait(); close(d.exited) }()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.exited
		_ = os.RemoveAll(tmp)
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", d.stdout.String(), d.stderr.String())
		}
	})
	return d
}

// awaitStory waits until the demo has said text.
func (d *demoRun) awaitStory(text string) {
	d.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !strings.Contains(d.stdout.String()+d.stderr.String(), text) {
		if time.Now().After(deadline) {
			d.t.Fatalf("the demo has not said %q within a minute", text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// exit waits for the end and gives the exit code.
func (d *demoRun) exit(limit time.Duration) int {
	d.t.Helper()
	select {
	case <-d.exited:
	case <-time.After(limit):
		d.t.Fatalf("the demo did not end within %s", limit)
	}
	return d.cmd.ProcessState.ExitCode()
}

// wantNothingLeft checks that neither files nor processes of the demo are left.
func (d *demoRun) wantNothingLeft() {
	d.t.Helper()
	left, err := filepath.Glob(filepath.Join(d.tmp, "*"))
	if err != nil || len(left) > 0 {
		d.t.Errorf("files are left: %v %v", left, err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, file := range lines {
		// A process that ends meanwhile is not one that is left.
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(d.tmp)) {
			d.t.Errorf("a process is left: %s", bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
		}
	}
}
