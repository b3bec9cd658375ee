package conf

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var codeRule = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// failover warns of combinations that work, but not as one may hope.
func (v *validator) failover(path string, c *Cluster) {
	if c.Detection.HangTimeout < c.Health.Timeout {
		v.warn(path+".detection.hang_timeout", "make it longer than health.timeout", "is shorter than one probe may take (%s)", c.Health.Timeout)
	}
	if c.Failover.Mode != FailoverAutomatic {
		return
	}
	if !c.Health.Heartbeat {
		v.warn(path+".health.heartbeat", "write true", "is off: what an automatic failover may lose cannot be bounded, and a hung primary is told from an idle one only by the servers' own heartbeats")
	}
	if len(c.Servers) == 1 {
		v.warn(path+".failover.mode", "add a standby to servers", "automatic has no meaning while there is one server only")
	}
}

// fencing checks the program and makes its name absolute when it is a path.
func (v *validator) fencing(path string, f *Fencing) {
	for i, arg := range f.Command {
		if strings.ContainsRune(arg, 0) {
			v.fail(fmt.Sprintf("%s.command[%d]", path, i), "remove it", "holds a zero byte")
		}
	}
	if len(f.Command) == 0 {
		return
	}
	program := f.Command[0]
	if strings.ContainsRune(program, filepath.Separator) && !filepath.IsAbs(program) && v.dir != "" {
		program = filepath.Join(v.dir, program)
	}
	if _, err := exec.LookPath(program); err != nil {
		v.fail(path+".command", "name a program that this process may run, and its arguments as further entries", "%v", err)
		return
	}
	f.Command[0] = program
}

func (v *validator) ignored(path string, codes []string) {
	for i, code := range codes {
		if !codeRule.MatchString(code) {
			v.fail(fmt.Sprintf("%s[%d]", path, i), "write a code as `onewriter doctor` shows it, for example CLOCK_DRIFT", "%q is no code of a finding", code)
		}
	}
}
