package demo

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

// child is this program run once more. The system ends it when this process dies. Linux sends that signal when the
// thread ends that started it, so the goroutine that waits for the child keeps its thread.
type child struct {
	log  string // file
	pid  int
	done chan struct{} // closed when it has ended
	err  error         // how it has ended; valid once done is closed
}

// startChild runs program with args; all it prints goes to the file log. Variables of the environment that would override
// its configuration are not handed down.
func startChild(program string, args []string, log string) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of onewriter serve: %w", err)
	}
	c := &child{log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(c.done)
		defer func() { _ = out.Close() }()
		//nolint:noctx // stop ends it in order; a context would kill it
		cmd := exec.Command(program, args...)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ONEWRITER_") })
		cmd.SysProcAttr = childAttr()
		err := cmd.Start()
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run onewriter serve: %w", err)
	}
	return c, nil
}

// stop asks the child to end and kills it when it has not within grace.
func (c *child) stop(grace time.Duration) {
	c.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.signal(syscall.SIGKILL)
		<-c.done
	}
}

func (c *child) signal(s syscall.Signal) {
	select {
	case <-c.done:
	default:
		_ = syscall.Kill(c.pid, s)
	}
}

// tail is the end of the child's log, some whole lines.
func (c *child) tail() string {
	const lines, bytes = 8, 4000
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	s := strings.TrimSpace(string(text))
	s = s[max(0, len(s)-bytes):]
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
