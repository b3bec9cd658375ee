package mysqltest

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a running server program.
type process struct {
	pid  int
	done chan struct{} // closed when it has ended
}

// startProcess starts a program that is killed when this process dies. Linux sends that signal when the thread ends
// that started it, so the goroutine that waits for the program keeps its thread.
func startProcess(command, args []string, out *os.File) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(p.done)
		cmd := exec.Command(command[0], append(append([]string{}, command[1:]...), args...)...)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = procAttr()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// signal sends s; a program that has ended is no error.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(p.pid, s)
	}
}

// kill ends the program at once and waits for that.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}
