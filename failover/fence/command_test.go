package fence

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func shell(script string, timeout time.Duration) Command {
	return Command{Argv: []string{"/bin/sh", "-c", script}, Timeout: timeout}
}

func TestCommandMustExitWithZero(t *testing.T) {
	ctx := context.Background()
	proof, err := RunCommand(ctx, shell(`echo "off: $ONEWRITER_SERVER $SECRET_OF_OURS"; echo warned >&2`, 5*time.Second),
		map[string]string{"ONEWRITER_SERVER": "db1"}, "db1")
	if err != nil {
		t.Fatal(err)
	}
	if proof.Kind() != ByCommand || proof.Of() != "db1" || !proof.spend() {
		t.Errorf("got %s of %s", proof.Kind(), proof.Of())
	}
	said := strings.Join(proof.Evidence(), " ")
	if !strings.Contains(said, "off: db1") || !strings.Contains(said, "warned") {
		t.Errorf("the evidence %q lacks the output", said)
	}
	for _, script := range []string{"exit 1", "echo it burns; exit 3", "kill -9 $$"} {
		if proof, err := RunCommand(ctx, shell(script, 5*time.Second), nil, "db1"); err == nil || proof != nil {
			t.Errorf("%q gave a proof", script)
		} else if strings.Contains(script, "burns") && !strings.Contains(err.Error(), "it burns") {
			t.Errorf("the error %q lacks the output", err)
		}
	}
	for _, argv := range [][]string{nil, {"/does/not/exist"}} {
		if proof, err := RunCommand(ctx, Command{Argv: argv, Timeout: time.Second}, nil, "db1"); err == nil || proof != nil {
			t.Errorf("%q gave a proof", argv)
		}
	}
}

func TestCommandGetsNoSecrets(t *testing.T) {
	t.Setenv("SECRET_OF_OURS", "swordfish")
	proof, err := RunCommand(context.Background(), shell("env", 5*time.Second), map[string]string{"A": "1"}, "db1")
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(proof.Evidence(), " ")
	if strings.Contains(said, "swordfish") || !strings.Contains(said, "A=1") || !strings.Contains(said, "PATH=") {
		t.Errorf("environment: %s", said)
	}
}

// At the time-out the command and what it started are killed, also what ignores a polite signal.
func TestCommandTimeOutKillsTheGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	begun := time.Now()
	_, err := RunCommand(context.Background(), shell(`trap "" TERM; sleep 300 & echo $! >`+file+`; wait; sleep 300`, 500*time.Millisecond), nil, "db1")
	if err == nil || !strings.Contains(err.Error(), "did not end within 500ms") {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 5*time.Second {
			t.Fatal("a child of the command lives on")
		}
	}
}

// alive is false for zombies, too: nobody may be there to reap an orphan.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// What goes on in the background does not hold up a command that has ended with 0.
func TestCommandMayLeaveSomethingBehind(t *testing.T) {
	begun := time.Now()
	proof, err := RunCommand(context.Background(), shell("sleep 6 & echo done", 20*time.Second), nil, "db1")
	if err != nil || proof.Kind() != ByCommand {
		t.Fatalf("got %v, %v", proof, err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestCommandOutputIsBounded(t *testing.T) {
	proof, err := RunCommand(context.Background(), shell("head -c 1000000 /dev/zero | tr '\\0' x", 20*time.Second), nil, "db1")
	if err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(proof.Evidence(), " "); strings.Count(said, "x") < keptOutput || len(said) > keptOutput+200 {
		t.Errorf("%d bytes of evidence", len(said))
	}
}
