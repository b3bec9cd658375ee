package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// side is one of the two places where tests run.
type side struct {
	in     installation
	host   string
	port   string
	socket string // of the server
	data   string // its data directory
	vardir string // the server's directory is in it
	args   []string
	limit  time.Duration
	moves  bool
	db     *sql.DB // root, at the server itself, or where its role is when that moves
	first  state

	portWord *regexp.Regexp
}

// outcome is what a test has said.
type outcome struct {
	code int // of the client; -1: it was ended by the limit
	text string
}

func (o outcome) equal(p outcome) bool { return o.code == p.code && o.text == p.text }

// errno is what the client says of its own system calls behind the failure of a program.
var errno = regexp.MustCompile(`, errno: \d+`)

// codeSkipped is the exit code of a test that is not for such a server.
const codeSkipped = 62

func (o outcome) verdict(t test) verdict {
	if o.code == codeSkipped {
		return skipped
	}
	if expected, err := os.ReadFile(t.expected); o.code == 0 && err == nil && o.text == string(expected) {
		return passes
	}
	return same
}

// run carries out a test.
func (s *side) run(ctx context.Context, t test) outcome {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	args := append([]string{"--no-defaults", "--silent", "--tmpdir=" + s.tmp(), "--logdir=" + s.vardir + "/log", "--database=test",
		"--test-file=" + t.path, "--tail-lines=20", "--max-connect-retries=3"}, s.login()...)
	if s.in.flavor == mysqltest.MariaDB {
		args = append(args, "--suite-dir="+t.dir)
	}
	argv := slices.Concat(s.in.client, args, s.args)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = s.in.dir
	cmd.Env = append(append(os.Environ(), s.env()...), "MTR_TEST_NAME="+t.name(), "MTR_SUITE_DIR="+t.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	o := outcome{text: s.neutral(out.String())}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		o.code = -1
	case errors.As(err, &exit):
		o.code = exit.ExitCode()
	}
	if o.code != 0 && o.code != codeSkipped {
		o.text += errno.ReplaceAllString(s.neutral(errs.String()), "")
	}
	return o
}

func (s *side) tmp() string { return filepath.Join(s.vardir, "tmp") }

// login are the options of client programs.
func (s *side) login() []string {
	return []string{"--host=" + s.host, "--port=" + s.port, "--protocol=tcp", "--user=root"}
}

// neutral takes out what tells the sides apart by their place.
func (s *side) neutral(text string) string {
	text = strings.NewReplacer(s.data, "DATADIR", s.socket, "SOCKET", s.vardir, "VARDIR").Replace(text)
	return s.portWord.ReplaceAllString(text, "PORT")
}

// env is what the tests expect of their environment.
func (s *side) env() []string {
	program := func(name string, more ...string) string {
		return strings.Join(append(append([]string{s.in.program(name), "--no-defaults"}, s.login()...), more...), " ")
	}
	return []string{
		"MYSQL_TEST_DIR=" + s.in.dir, "MYSQLTEST_VARDIR=" + s.vardir, "MYSQLTEST_REAL_VARDIR=" + s.vardir, "MYSQL_TMP_DIR=" + s.tmp(), "MYSQL_BINDIR=/usr",
		"MASTER_MYPORT=" + s.port, "MASTER_MYPORT1=" + s.port, "MASTER_MYSOCK=" + s.socket, "DEFAULT_MASTER_PORT=3306", "MYSQLD_DATADIR=" + s.data,
		"MASTER_MYSOCK1=" + s.socket, "SLAVE_MYPORT=1", "SLAVE_MYSOCK=/nowhere", "SECURE_LOAD_PATH=" + s.in.dir + "/std_data",
		"MARIADB_TOPDIR=" + s.data, "MARIADB_DATADIR=" + s.data, "HAVE_BROKEN_DNS=0", "MTR_VERSION=2", "BIG_TEST=0",
		"LC_ALL=C", "LC_CTYPE=C", "LC_COLLATE=C", "UMASK=0660", "UMASK_DIR=0770", "USE_RUNNING_SERVER=1", "NO_FORCE=1",
		"MYSQL=" + program("mysql"), "MYSQL_DUMP=" + program("mysqldump"), "MYSQL_CHECK=" + program("mysqlcheck"),
		"MYSQL_IMPORT=" + program("mysqlimport"), "MYSQL_SHOW=" + program("mysqlshow"), "MYSQL_SLAP=" + program("mysqlslap"),
		"MYSQLADMIN=" + program("mysqladmin"), "MYSQL_BINLOG=" + s.in.program("mysqlbinlog") + " --no-defaults", "EXE_MYSQL=" + s.in.program("mysql"),
		"MYSQL_CHARSETSDIR=/usr/share/mysql/charsets", "MYSQL_SHAREDIR=/usr/share/mysql",
		"MYSQL_TEST=" + strings.Join(slices.Concat(s.in.client, []string{"--no-defaults", "--silent", "--tmpdir=" + s.tmp(), "--database=test"}, s.login()), " "),
	}
}

// state is what a test has to leave as it was.
type state struct {
	schemas, accounts map[string]bool
	globals           map[string]global
}

type global struct {
	value   string
	numeric bool
}

// clean brings back what a test has changed, as far as that is possible without a restart.
func (s *side) clean(ctx context.Context) error {
	now, err := s.in.state(ctx, s.db)
	if err != nil {
		return err
	}
	var fix []string
	for name := range now.schemas {
		if !s.first.schemas[name] {
			fix = append(fix, "DROP DATABASE `"+strings.ReplaceAll(name, "`", "``")+"`")
		}
	}
	for account := range now.accounts {
		if !s.first.accounts[account] {
			fix = append(fix, "DROP USER "+account, "DROP ROLE "+strings.TrimSuffix(account, "@''"))
		}
	}
	for name, was := range s.first.globals {
		if is := now.globals[name]; is.value == was.value {
			continue
		}
		value := was.value
		if !was.numeric {
			value = "'" + strings.ReplaceAll(value, "'", "''") + "'"
		}
		fix = append(fix, "SET GLOBAL "+name+"="+value)
	}
	fix = append(fix, "DROP DATABASE IF EXISTS test", "CREATE DATABASE test"+s.in.testCharset())
	for _, q := range fix {
		_, _ = s.db.ExecContext(ctx, q) // some variables can't be set
	}
	return s.files()
}

// files empties the directories for tests' files.
func (s *side) files() error {
	var all error
	for _, name := range []string{"tmp", "log"} {
		dir := filepath.Join(s.vardir, name)
		all = errors.Join(all, os.RemoveAll(dir), os.MkdirAll(dir, 0o777), os.Chmod(dir, 0o777))
	}
	return all
}

// state looks at a server.
func (in installation) state(ctx context.Context, db *sql.DB) (state, error) {
	st := state{schemas: map[string]bool{}, accounts: map[string]bool{}, globals: map[string]global{}}
	for q, into := range map[string]map[string]bool{
		"SELECT schema_name FROM information_schema.schemata":          st.schemas,
		"SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user": st.accounts,
	} {
		rows, err := db.QueryContext(ctx, q)
		if err != nil {
			return st, err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return st, err
			}
			into[name] = true
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return st, err
		}
	}
	rows, err := db.QueryContext(ctx, "SHOW GLOBAL VARIABLES WHERE variable_name NOT RLIKE '^(gtid_|timestamp|last_gtid|report_|server_id|pseudo)'")
	if err != nil {
		return st, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var value sql.NullString
		if err := rows.Scan(&name, &value); err != nil {
			return st, err
		}
		_, err := strconv.ParseFloat(value.String, 64)
		st.globals[strings.ToLower(name)] = global{value.String, err == nil}
	}
	return st, rows.Err()
}

// at makes addr the address at which the tests log in.
func (s *side) at(addr string) (err error) {
	s.host, s.port, err = net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	s.portWord = regexp.MustCompile(`\b` + s.port + `\b`)
	return nil
}
