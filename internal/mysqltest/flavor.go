package mysqltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	// root is the directory tree that the programs are in; "/" for the system's own.
	root string
	// version names the installation for the cache of datadirs.
	version string
	// release is the major and minor number of version.
	release release
}

// Installed reports why servers of flavour f cannot be started here, nil if they can.
func Installed(f Flavor) error {
	_, err := find(f)
	return err
}

func find(f Flavor) (installation, error) {
	if !wanted(f) {
		return installation{}, errUnwanted
	}
	if f == MySQL {
		return findMySQL()
	}
	return findMariaDB()
}

// findMariaDB finds the system's MariaDB, the program ONEWRITER_MARIADBD, or the one in the directory tree
// ONEWRITER_MARIADB_ROOT, which is run like MySQL's.
func findMariaDB() (installation, error) {
	if root := mariadbRoot(); root != "/" {
		return findTree(MariaDB, root, "mariadbd", "mysqld")
	}
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
	in := installation{flavor: MariaDB, command: []string{program}, root: "/"}
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
	return findTree(MySQL, root, "mysqld")
}

// findTree finds the first of the named programs in the tree at root.
func findTree(f Flavor, root string, names ...string) (installation, error) {
	program, err := firstFile(filepath.Join(root, "usr/sbin"), names...)
	if err != nil {
		return installation{}, fmt.Errorf("no server of %s in %s (run scripts/install-test-deps or scripts/install-server, or set ONEWRITER_%s_ROOT to a directory tree with usr/sbin/%s): %w",
			f, root, strings.ToUpper(f.String()), names[0], err)
	}
	in := installation{flavor: f, command: relocated(root, program), root: root}
	in.settings = []string{
		"--basedir=" + filepath.Join(root, "usr"),
		"--lc-messages-dir=" + in.share(),
		"--character-sets-dir=" + filepath.Join(in.share(), "charsets"),
		"--plugin-dir=" + in.plugins(),
	}
	err = in.askVersion()
	return in, err
}

// share is the directory of the server's messages, character sets and SQL scripts.
func (in installation) share() string {
	dir, err := firstFile(filepath.Join(in.root, "usr/share"), in.flavor.String(), "mysql")
	if err != nil {
		return filepath.Join(in.root, "usr/share/mysql")
	}
	return dir
}

func (in installation) plugins() string { return filepath.Join(in.root, "usr/lib/mysql/plugin") }

// hasPlugin reports whether the plugin's library is there.
func (in installation) hasPlugin(name string) bool {
	_, err := os.Stat(filepath.Join(in.plugins(), name+".so"))
	return err == nil
}

// firstFile is the first of the names that is in dir.
func firstFile(dir string, names ...string) (path string, err error) {
	for _, n := range slices.Backward(names) {
		p := filepath.Join(dir, n)
		if _, e := os.Stat(p); e != nil {
			err = e
		} else {
			path = p
		}
	}
	if path != "" {
		return path, nil
	}
	return "", err
}

func mariadbRoot() string {
	if root := os.Getenv("ONEWRITER_MARIADB_ROOT"); root != "" {
		return root
	}
	return "/"
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
	if f == MariaDB && mariadbRoot() != "/" {
		program, err := firstFile(filepath.Join(mariadbRoot(), "usr/bin"), "mariadb", "mysql")
		if err != nil {
			return nil, fmt.Errorf("the mariadb client is not installed: %w", err)
		}
		return append(relocated(mariadbRoot(), program), "--no-defaults"), nil
	}
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

// relocated gives the command that runs a program of the tree at root with the tree's own loader and libraries; with the
// system's loader and the tree's private libraries when it has only these; else the program itself.
func relocated(root, program string) []string {
	if root == "/" {
		return []string{program}
	}
	private := filepath.Join(root, "usr/lib/mysql/private")
	libraries := []string{private}
	for _, pattern := range []string{"usr/lib/*-linux-gnu", "lib/*-linux-gnu"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		libraries = append(libraries, found...)
	}
	// What lib64 has is a link to an absolute path in old releases, which leads out of the tree.
	for _, pattern := range []string{"lib/*-linux-gnu/ld-linux-*.so.*", "usr/lib/*-linux-gnu/ld-linux-*.so.*", "lib64/ld-linux-*.so.*", "lib/ld-linux-*.so.*"} {
		if loaders, _ := filepath.Glob(filepath.Join(root, pattern)); len(loaders) > 0 {
			return []string{loaders[0], "--library-path", strings.Join(libraries, ":"), program}
		}
	}
	loaders, _ := filepath.Glob("/lib64/ld-linux-*.so.*")
	if _, err := os.Stat(private); err == nil && len(loaders) > 0 {
		return []string{loaders[0], "--library-path", private, program}
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
	in.release = releaseOf(in.version)
	return nil
}
