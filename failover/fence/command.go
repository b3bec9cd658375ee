package fence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DefaultCommandTimeout is how long a fencing command may take unless it says otherwise.
const DefaultCommandTimeout = 10 * time.Second

// keptOutput is how much of a command's output is kept, in bytes.
const keptOutput = 4 << 10

// inherited are the variables that a command gets from our own environment; others may hold secrets.
var inherited = []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"}

// RunCommand runs c with env added to PATH, HOME, USER, LANG, TZ and TMPDIR of our own environment. Only exit code 0
// within the time-out is a proof that the server called of was switched off; at the time-out the whole process group is
// killed. The first 4 KiB of the output are part of the evidence and of the error.
func RunCommand(ctx context.Context, c Command, env map[string]string, of string) (*Proof, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("there is no fencing command")
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultCommandTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := &head{}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env = environment(env)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a descendant that left the group may hold the output open
	begun := time.Now()
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		err = nil // it ended with 0, and something that it started holds the output open
	}
	took := time.Since(begun).Round(time.Millisecond)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the fencing command did not end within %s%s", timeout, out.quoted())
	case err != nil:
		return nil, fmt.Errorf("the fencing command failed after %s: %w%s", took, err, out.quoted())
	}
	return &Proof{of: of, kind: ByCommand, valid: true, lines: []string{
		fmt.Sprintf("The fencing command %s ended with 0 after %s%s.", c.Argv[0], took, out.quoted()),
	}}, nil
}

// environment is what is inherited and env, whose names are sorted.
func environment(env map[string]string) []string {
	out := []string{}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out
}

// head keeps the beginning of what is written to it.
type head struct{ b bytes.Buffer }

// Write implements io.Writer; it never fails.
func (h *head) Write(p []byte) (int, error) {
	if room := keptOutput - h.b.Len(); room > 0 {
		h.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (h *head) quoted() string {
	text := strings.TrimSpace(h.b.String())
	if text == "" {
		return ""
	}
	return fmt.Sprintf(", saying %q", text)
}
