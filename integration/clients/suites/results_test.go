package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResults(t *testing.T) {
	read := func(text string) results {
		t.Helper()
		path := filepath.Join(t.TempDir(), "results")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := readResults(path)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	direct := read("pass a b\nfail c\npass d\npass e\nfail f\n")
	if err := direct.against(direct, nil); err != nil {
		t.Error(err)
	}
	proxied := read("pass a b\nfail c\npass d\nfail d\npass d\npass f\n")
	err := proxied.against(direct, nil)
	if err == nil || !strings.Contains(err.Error(), "2 tests") || !strings.HasSuffix(err.Error(), "  d\n  e (did not run)") {
		t.Error(err)
	}
	err = proxied.against(direct, reasons("# comment\nd # for a reason\na b # which passes\n"))
	if err == nil || !strings.Contains(err.Error(), "1 tests") {
		t.Error(err)
	}
	if r, err := readResults(filepath.Join(t.TempDir(), "none")); r != nil || err != nil {
		t.Error(r, err)
	}
}
