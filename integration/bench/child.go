package main

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

// child is a proxy under measurement. Linux ends it when the thread ends that started it, so the goroutine that waits
// for it keeps its thread.
type child struct {
	log  string // file
	pid  process
	done chan struct{} // closed when it has ended
	err  error         // how it has ended; valid once done is closed
}

// startChild runs argv with its output in the file log. Variables of the environment that would override onewriter's
// configuration are not handed down.
func startChild(argv []string, log string) (*child, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	c := &child{log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(c.done)
		cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // stop ends it
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ONEWRITER_") })
		cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, childAttr()
		err := cmd.Start()
		if err == nil {
			c.pid = process(cmd.Process.Pid)
		}
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	return c, nil
}

// tail is the end of what the child printed.
func (c *child) tail() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// stop sends SIGTERM, after grace SIGKILL, and waits for the end.
func (c *child) stop(grace time.Duration) error {
	c.signal(syscall.SIGTERM)
	select {
	case <-c.done:
		return c.err
	case <-time.After(grace):
	}
	c.signal(syscall.SIGKILL)
	<-c.done
	return fmt.Errorf("process %d did not end within %s of SIGTERM", c.pid, grace)
}

func (c *child) signal(s syscall.Signal) {
	select {
	case <-c.done:
	default:
		_ = syscall.Kill(int(c.pid), s) // it may be ending
	}
}
