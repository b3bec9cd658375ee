package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestList finds tests in each of the places where the flavours have them, and leaves out what can't run.
func TestList(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"main/one.test": "select 1;", "main/two.test": "--source include/restart_mysqld.inc", "main/three.test": "", "main/three.opt": "--x",
		"suite/roles/flat.test": "", "suite/funcs/t/deep.test": "", "suite/compat/oracle/t/deeper.test": "", "main/one.result": "1\n", "main/FOUR.test": "Reset  Master;",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in := installation{flavor: mysqltest.MariaDB, dir: root, main: filepath.Join(root, "main")}
	got, err := in.list(regexp.MustCompile("."), regexp.MustCompile("^$"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"main.one": "main/one.result", "roles.flat": "suite/roles/flat.result", "funcs.deep": "suite/funcs/r/deep.result",
		"compat/oracle.deeper": "suite/compat/oracle/r/deeper.result",
	}
	for _, test := range got {
		if expected := filepath.Join(root, want[test.name()]); test.expected != expected {
			t.Errorf("%s expects %s, want %s", test.name(), test.expected, expected)
		}
		delete(want, test.name())
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	if _, err := in.list(regexp.MustCompile("^none$"), regexp.MustCompile("^$")); err == nil {
		t.Error("a name that no test has is no error")
	}
}

// TestNeutral takes out ports as words only: digits in what tests print are not a port.
func TestNeutral(t *testing.T) {
	s := &side{vardir: "/tmp/mtr-1/d", data: "/tmp/mtr-1/d/s/data", socket: "/tmp/mtr-1/d/s/s"}
	if err := s.at("127.0.0.1:1396"); err != nil {
		t.Fatal(err)
	}
	const text = "2139699 :1396 /tmp/mtr-1/d/s/data/t /tmp/mtr-1/d/s/s /tmp/mtr-1/d/tmp"
	if got, want := s.neutral(text), "2139699 :PORT DATADIR/t SOCKET VARDIR/tmp"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
