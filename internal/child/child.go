package child

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Command says what to run.
type Command struct {
	Argv []string
	// Log is the file that gets all that the program prints. It is emptied first unless Append is set.
	Log    string
	Append bool
	// Clean keeps the variables ONEWRITER_... from the program, which would override its configuration.
	Clean bool
}

// Child is a running program. Its methods are safe for concurrent use.
type Child struct {
	PID int

	log  string
	done chan struct{}
	err  error // valid once done is closed
}

// Start runs a program. Linux ends it when the thread ends that started it, so the goroutine that waits for it keeps its
// thread. A terminal's Ctrl-C does not reach it.
func Start(c Command) (*Child, error) {
	mode := os.O_TRUNC
	if c.Append {
		mode = os.O_APPEND
	}
	out, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|mode, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", c.Argv[0], err)
	}
	defer func() { _ = out.Close() }()
	child := &Child{log: c.Log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(child.done)
		cmd := exec.Command(c.Argv[0], c.Argv[1:]...) //nolint:noctx // Stop ends it in order; a context would kill it
		if c.Clean {
			cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ONEWRITER_") })
		}
		cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, attributes()
		err := cmd.Start()
		if err == nil {
			child.PID = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			child.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Argv[0], err)
	}
	return child, nil
}

// Done is closed when the program has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err is how the program has ended, as of exec.Cmd.Wait; nil before.
func (c *Child) Err() error {
	if c.Running() {
		return nil
	}
	return c.err
}

// Running reports whether the program has not ended.
func (c *Child) Running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal, unless the program has ended.
func (c *Child) Signal(s syscall.Signal) {
	if c.Running() {
		_ = syscall.Kill(c.PID, s) // it may be ending
	}
}

// Kill ends the program the hard way and returns when it is gone.
func (c *Child) Kill() {
	c.Signal(syscall.SIGKILL)
	<-c.done
}

// Stop asks the program to end, and kills it when it has not within grace, which is an error. Otherwise the result is Err.
func (c *Child) Stop(grace time.Duration) error {
	c.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.done:
		return c.err
	case <-timer.C:
	}
	c.Kill()
	return fmt.Errorf("process %d did not end within %s of SIGTERM", c.PID, grace)
}

// Output is all that the program has printed.
func (c *Child) Output() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Tail is the end of what the program has printed: whole lines, most bytes of them at the most.
func (c *Child) Tail(most int) string {
	text := strings.TrimSpace(c.Output())
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	if _, whole, ok := strings.Cut(text, "\n"); ok {
		return whole
	}
	return text
}
