package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Child is a program that runs beside this one and ends with it.
type Child struct {
	process *os.Process
	log     string
	done    chan struct{}
	err     error // how it ended; valid once done is closed
}

// StartChild runs argv with its output in the file log. Variables of the environment that begin with ONEWRITER_ are not
// handed down: they would override the configuration.
func StartChild(argv []string, log string) (*Child, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // Stop ends it
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ONEWRITER_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = childAttr()
	c := &Child{log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go c.run(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	return c, nil
}

// run keeps its thread while the child lives: the kernel ends the child when the thread that started it ends (prctl(2),
// PR_SET_PDEATHSIG).
func (c *Child) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	c.process = cmd.Process
	started <- nil
	c.err = cmd.Wait()
	close(c.done)
}

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Log returns the last lines of what the child printed.
func (c *Child) Log() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Stop sends SIGTERM and waits for the end. After grace the child is killed, which is an error, as is any exit code but 0.
func (c *Child) Stop(ctx context.Context, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	_ = c.process.Signal(syscall.SIGTERM) // fails for an ended process only
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	err := c.process.Kill()
	<-c.done
	return errors.Join(fmt.Errorf("process %d did not end within %s of SIGTERM", c.process.Pid, grace), err)
}
