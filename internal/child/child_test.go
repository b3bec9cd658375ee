package child

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, script string) *Child {
	t.Helper()
	c, err := Start(Command{Argv: []string{"sh", "-c", script}, Log: filepath.Join(t.TempDir(), "log"), Clean: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return c
}

func TestOutputAndExitCode(t *testing.T) {
	t.Setenv("ONEWRITER_TEST", "seen")
	c := start(t, `for i in 1 2 3 4 5 6 7 8 9; do echo "line $i$ONEWRITER_TEST"; done; echo last >&2; exit 3`)
	<-c.Done()
	var exit *exec.ExitError
	if !errors.As(c.Err(), &exit) || exit.ExitCode() != 3 {
		t.Errorf("ended with %v", c.Err())
	}
	if out := c.Output(); !strings.HasPrefix(out, "line 1\n") || !strings.HasSuffix(out, "line 9\nlast\n") {
		t.Errorf("printed %q", out)
	}
	if tail := c.Tail(15); tail != "line 9\nlast" {
		t.Errorf("tail %q", tail)
	}
	c.Kill() // of what has ended
}

func TestStop(t *testing.T) {
	c := start(t, `trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.01; done`)
	for c.Output() != "ready\n" {
		time.Sleep(time.Millisecond)
	}
	if err := c.Stop(20 * time.Second); err != nil || c.Output() != "ready\nbye\n" {
		t.Errorf("%v, printed %q", err, c.Output())
	}
	c = start(t, `trap "" TERM; echo ready; while :; do sleep 0.01; done`)
	for c.Output() != "ready\n" {
		time.Sleep(time.Millisecond)
	}
	if err := c.Stop(10 * time.Millisecond); err == nil || c.Running() {
		t.Errorf("stubborn: %v", err)
	}
}

func TestNotStarted(t *testing.T) {
	if _, err := Start(Command{Argv: []string{"/nonexistent/program"}, Log: filepath.Join(t.TempDir(), "log")}); err == nil {
		t.Error("no error")
	}
	if _, err := Start(Command{Argv: []string{"true"}, Log: filepath.Join(t.TempDir(), "none", "log")}); err == nil {
		t.Error("no error")
	}
}
