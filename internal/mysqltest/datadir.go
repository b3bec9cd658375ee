package mysqltest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
)

var versionPattern = regexp.MustCompile(`Ver +([0-9][^ ]*)`)

// versionOf takes the version out of the line that --version prints.
func versionOf(line string) string {
	if m := versionPattern.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return "unknown"
}

// template gives a datadir that was initialised before, or initialises one. Several processes may ask at once.
func (in installation) template(ctx context.Context) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("create the cache directory: %w", err)
	}
	dir := filepath.Join(cache, fmt.Sprintf("datadir-%s-%s-%d", in.flavor, in.version, os.Getuid()))
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("lock the datadir template: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the datadir template: %w", err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fresh := dir + ".new"
	for tries := 1; ; tries++ {
		if err := os.RemoveAll(fresh); err != nil {
			return "", err
		}
		err := in.initialise(ctx, fresh)
		if err == nil {
			return dir, os.Rename(fresh, dir)
		}
		if tries == initialiseTries {
			return "", errors.Join(err, os.RemoveAll(fresh))
		}
	}
}

// initialiseTries is how often a datadir is initialised before that counts as failed: mariadb-install-db was seen to
// fail on a machine full of other servers, and to succeed right after.
const initialiseTries = 3

func (in installation) initialise(ctx context.Context, dir string) error {
	var cmd *exec.Cmd
	switch {
	case in.flavor == MySQL && in.release.atLeast(5, 7):
		args := append(append([]string{}, in.command[1:]...), "--no-defaults", "--initialize-insecure", "--datadir="+dir,
			"--secure-file-priv=NULL", "--loose-innodb-redo-log-capacity=16M")
		cmd = exec.CommandContext(ctx, in.command[0], append(append(args, in.settings...), asUser()...)...)
	case in.root != "/": // the script would not find its programs
		var err error
		if cmd, err = in.bootstrap(ctx, dir); err != nil {
			return fmt.Errorf("initialise a %s datadir: %w", in.flavor, err)
		}
	default:
		program, err := exec.LookPath("mariadb-install-db")
		if err != nil {
			return fmt.Errorf("initialise a MariaDB datadir: %w", err)
		}
		args := append([]string{"--no-defaults", "--datadir=" + dir, "--auth-root-authentication-method=normal", "--skip-test-db"}, asUser()...)
		cmd = exec.CommandContext(ctx, program, args...)
	}
	tmp := dir + ".tmp" // its own, see tmpdir
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initialise a %s datadir: %w: %s", in.flavor, err, tailOf(string(out), 4000))
	}
	return nil
}

// asUser allows a server to run as root, which test machines often are.
func asUser() []string {
	if os.Getuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// copyDir copies a datadir, by reference where the file system can.
func copyDir(ctx context.Context, from, to string) error {
	out, err := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy the datadir: %w: %s", err, out)
	}
	if err := os.Remove(filepath.Join(to, "auto.cnf")); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("give the server an identity of its own: %w", err)
	}
	return nil
}

func tailOf(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}
