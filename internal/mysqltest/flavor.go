package mysqltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Flavor is the kind of server to start.
type Flavor uint8

// The flavours.
const (
	MariaDB Flavor = iota // the distribution's mariadbd
	MySQL                 // MySQL 9 in the cache directory, see scripts/install-test-deps
)

// String gives the lower-case name.
func (f Flavor) String() string {
	if f == MySQL {
		return "mysql"
	}
	return "mariadb"
}

// ParseFlavor reads what String writes.
func ParseFlavor(s string) (Flavor, error) {
	switch s {
	case "mariadb":
		return MariaDB, nil
	case "mysql":
		return MySQL, nil
	default:
		return 0, fmt.Errorf("unknown flavor %q: want mariadb or mysql", s)
	}
}

// CacheDir is where installed servers and initialised datadirs are kept: $ONEWRITER_CACHE, else onewriter in the
// user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv("ONEWRITER_CACHE"); dir != "" {
		return dir, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory (set ONEWRITER_CACHE): %w", err)
	}
	return filepath.Join(base, "onewriter"), nil
}

// installation is where the programs of one flavour are.
type installation struct {
	flavor Flavor
	// command starts the server program; arguments follow it.
	command []string
	// settings are the options that make a relocated server find its own files.
	settings []string
	// version names the installation for the cache of datadirs.
	version string
}

// Installed reports why servers of flavour f cannot be started here, nil if they can.
func Installed(f Flavor) error {
	_, err := find(f)
	return err
}

func find(f Flavor) (installation, error) {
	if f == MySQL {
		return findMySQL()
	}
	return findMariaDB()
}

func findMariaDB() (installation, error) {
	program := os.Getenv("ONEWRITER_MARIADBD")
	if program == "" {
		program = "/usr/sbin/mariadbd"
		if found, err := exec.LookPath("mariadbd"); err == nil {
			program = found
		}
	}
	if _, err := os.Stat(program); err != nil {
		return installation{}, fmt.Errorf("mariadbd is not installed (run scripts/install-test-deps, or set ONEWRITER_MARIADBD): %w", err)
	}
	in := installation{flavor: MariaDB, command: []string{program}}
	err := in.askVersion()
	return in, err
}

// findMySQL finds a MySQL in a directory tree of its own: ONEWRITER_MYSQL_ROOT, else the cache. It is run by the tree's
// own dynamic loader, so that neither root rights nor chroot are needed.
func findMySQL() (installation, error) {
	root, err := mysqlRoot()
	if err != nil {
		return installation{}, err
	}
	program := filepath.Join(root, "usr/sbin/mysqld")
	if _, err := os.Stat(program); err != nil {
		return installation{}, fmt.Errorf("MySQL is not installed (run scripts/install-test-deps, or set ONEWRITER_MYSQL_ROOT to a directory tree with usr/sbin/mysqld): %w", err)
	}
	in := installation{flavor: MySQL, command: relocated(root, program), settings: []string{
		"--basedir=" + filepath.Join(root, "usr"),
		"--lc-messages-dir=" + filepath.Join(root, "usr/share/mysql"),
		"--character-sets-dir=" + filepath.Join(root, "usr/share/mysql/charsets"),
		"--plugin-dir=" + filepath.Join(root, "usr/lib/mysql/plugin"),
	}}
	err = in.askVersion()
	return in, err
}

func mysqlRoot() (string, error) {
	if root := os.Getenv("ONEWRITER_MYSQL_ROOT"); root != "" {
		return root, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "mysql-9"), nil
}

// Client is the command line of the flavour's own command-line client, to which arguments are appended.
func Client(f Flavor) ([]string, error) {
	if f == MariaDB {
		program, err := exec.LookPath("mariadb")
		if err != nil {
			return nil, fmt.Errorf("the mariadb client is not installed: %w", err)
		}
		return []string{program}, nil
	}
	root, err := mysqlRoot()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(root, "usr/bin/mysql")
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("the mysql client is not installed: %w", err)
	}
	return append(relocated(root, program), "--no-defaults"), nil
}

// relocated gives the command that runs a program of the tree at root with the tree's own loader and libraries; the
// program itself when the tree has no loader, as that of an ordinary installation.
func relocated(root, program string) []string {
	if root == "/" {
		return []string{program}
	}
	for _, pattern := range []string{"lib64/ld-linux-*.so.*", "lib/ld-linux-*.so.*"} {
		loaders, _ := filepath.Glob(filepath.Join(root, pattern))
		if len(loaders) == 0 {
			continue
		}
		path := filepath.Join(root, "usr/lib/mysql/private")
		libraries, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
		for _, l := range libraries {
			path += ":" + l
		}
		return []string{loaders[0], "--library-path", path, program}
	}
	return []string{program}
}

func (in *installation) askVersion() error {
	args := append(append([]string{}, in.command[1:]...), "--no-defaults", "--version")
	out, err := exec.Command(in.command[0], args...).Output()
	if err != nil {
		return fmt.Errorf("run %s --version: %w", in.flavor, err)
	}
	in.version = versionOf(string(out))
	return nil
}
