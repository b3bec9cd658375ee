package main

import (
	_ "embed" // for knownText
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// knownText lists tests that have to differ: "SUITE.TEST # REASON" a line.
//
//go:embed known.txt
var knownText string

var reasons = func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(knownText) {
		if name, reason, ok := strings.Cut(strings.TrimSpace(line), " # "); ok {
			m[name] = reason
		}
	}
	return m
}()

// installation is where the tests and their client are.
type installation struct {
	flavor mysqltest.Flavor
	dir    string   // mysql-test, with its trailing directories include, suite, std_data
	client []string // command line of mysqltest
	sql    []string // command line of the flavour's client, next to which its other programs are
	main   string   // the directory of the suite main
}

// program is the command line of a client program.
func (in installation) program(name string) string {
	last := len(in.sql) - 1
	return strings.Join(append(slices.Clone(in.sql[:last]), filepath.Join(filepath.Dir(in.sql[last]), name)), " ")
}

// testCharset is how the schema of tests is made.
func (in installation) testCharset() string {
	if in.flavor == mysqltest.MySQL {
		return ""
	}
	return " CHARACTER SET latin1 COLLATE latin1_swedish_ci"
}

// find looks for the tests below a directory into which Debian's packages were unpacked.
func find(f mysqltest.Flavor, root string) (installation, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return installation{}, err
	}
	sql, err := mysqltest.Client(f)
	if err != nil {
		return installation{}, err
	}
	sql = slices.DeleteFunc(sql, func(arg string) bool { return arg == "--no-defaults" })
	program := filepath.Join(root, "usr/bin/mariadb-test")
	in := installation{flavor: f, sql: sql, dir: filepath.Join(root, "usr/share/mysql/mysql-test")}
	in.main = filepath.Join(in.dir, "main")
	if f == mysqltest.MySQL {
		program, in.dir = filepath.Join(root, "usr/lib/mysql-test/bin/mysqltest"), filepath.Join(root, "usr/lib/mysql-test")
		in.main = filepath.Join(in.dir, "t")
	}
	in.client = append(slices.Clone(sql[:len(sql)-1]), program)
	for _, path := range []string{program, in.main} {
		if _, err := os.Stat(path); err != nil {
			return in, fmt.Errorf("%w: unpack the packages with the server's tests into %s (scripts/install-test-deps --mtr)", err, root)
		}
	}
	return in, nil
}

// test is one file of a suite.
type test struct {
	suite, base string
	path        string
	dir         string // of the suite
	expected    string // file with what the makers expect
}

func (t test) name() string { return t.suite + "." + t.base }

// unfit is what a test does that cannot be done to a server that others use: restarts, replication, files of its own. What
// needs a debug build skips itself, this only saves the time.
var unfit = regexp.MustCompile(`(?i)restart|shutdown|kill_mysqld|start_mysqld|master-slave|rpl_init|have_debug|wait_until_disconnected|big_test\.inc|` +
	`galera|wsrep|set_gtid_mode|reset\s+(master|slave)|read_only|mysqld_bootstrap|set\s+(global|@@global\.)\s*(server_id|gtid_|event_scheduler\s*=\s*disabled)|embedded\.inc.*only`)

// list gives the tests of all suites that fit.
func (in installation) list(run, skip *regexp.Regexp) ([]test, error) {
	var out []test
	for _, pattern := range []string{in.main + "/*.test", in.dir + "/suite/*/*.test", in.dir + "/suite/*/t/*.test", in.dir + "/suite/*/*/t/*.test"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range files {
			if t := in.test(path); run.MatchString(t.name()) && !skip.MatchString(t.name()) && in.fits(t) {
				out = append(out, t)
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no test has such a name")
	}
	return out, nil
}

func (in installation) test(path string) test {
	dir, file := filepath.Split(path)
	t := test{suite: "main", base: strings.TrimSuffix(file, ".test"), path: path, dir: filepath.Clean(dir)}
	results := t.dir
	if filepath.Base(t.dir) == "t" {
		t.dir = filepath.Dir(t.dir)
		results = filepath.Join(t.dir, "r")
	}
	if name, ok := strings.CutPrefix(t.dir, filepath.Join(in.dir, "suite")+"/"); ok {
		t.suite = name
	}
	t.expected = filepath.Join(results, t.base+".result")
	return t
}

// fits reports whether a test needs neither options of the server nor anything that unfit has.
func (in installation) fits(t test) bool {
	for _, end := range []string{".opt", "-master.opt", "-slave.opt", ".cnf", ".sh", "-master.sh", ".combinations"} {
		if _, err := os.Stat(strings.TrimSuffix(t.path, ".test") + end); err == nil {
			return false
		}
	}
	text, err := os.ReadFile(t.path)
	return err == nil && !unfit.Match(text)
}
