package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/scripts"
)

// installGrace is how long an installation that is given up may take to come to a good end.
const installGrace = 10 * time.Second

// ensureServers sees to it that servers of flavour f can be started. On Debian, and as root, it installs them with the
// project's own script; else it says what to do.
func ensureServers(ctx context.Context, f mysqltest.Flavor, out io.Writer) error {
	missing := mysqltest.Installed(f)
	if missing == nil {
		return nil
	}
	if os.Geteuid() != 0 || !isDebian() {
		return fmt.Errorf("%w\n%s", missing, hint(f))
	}
	cmd := exec.CommandContext(ctx, "bash", "-s", "--", "--"+f.String())
	cmd.Stdin = bytes.NewReader(scripts.InstallTestDeps)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = installGrace
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install the servers: %w\n%s", err, hint(f))
	}
	return mysqltest.Installed(f)
}

func hint(f mysqltest.Flavor) string {
	if f == mysqltest.MySQL {
		return "Install MySQL 8.4 or newer and set ONEWRITER_MYSQL_ROOT=/ (or to the directory tree that has it), or try --flavor mariadb."
	}
	return "Install MariaDB 10.6 or newer (Debian, Ubuntu, Fedora: mariadb-server; Arch, Alpine: mariadb), or try --flavor mysql."
}

func isDebian() bool {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return false
	}
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "ID") && strings.Contains(line, "debian") {
			return true
		}
	}
	return false
}
