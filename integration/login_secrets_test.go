package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// secrets looks for passwords and hashes wherever the program writes, and for those that it only passed on, in its memory.
func (l *lodge) secrets(t *testing.T) {
	written := map[string]string{"log": l.process.Output()}
	for _, path := range []string{"/metrics", "/healthz", "/api/v1/clusters", "/api/v1/clusters/test", "/api/v1/clusters/test/history", "/api/v1/clusters/test/doctor", "/api/v1/clusters/test/sessions", "/api/v1/clusters/test/report"} {
		_, written[path] = l.get(path)
	}
	err := filepath.WalkDir(filepath.Join(l.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var text []byte
			text, err = os.ReadFile(path)
			written[path] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	printed, err := exec.Command(executable, "config", "print", l.config).CombinedOutput()
	if err != nil {
		t.Fatalf("config print: %v: %s", err, printed)
	}
	written["config print"] = string(printed)
	if !strings.Contains(written["log"], "Access denied for user 'a1'") || !strings.Contains(written["/metrics"], "onewriter_") || !strings.Contains(written["config print"], "a5") {
		t.Fatal("it does not write what is looked through")
	}
	words := append(l.hashes(t), marked, configured, mysqltest.AppPassword, mysqltest.ControlPassword, mysqltest.ReplicationPassword)
	for where, text := range written {
		for _, word := range words {
			for _, found := range find([]byte(text), word) {
				t.Errorf("%s has %q: %q", where, word, found)
			}
		}
	}
	dump := l.memory(t)
	if find(dump, configured) == nil {
		t.Fatal("what must be in memory is not found there")
	}
	for _, found := range find(dump, marked) {
		if !tlsRecord.MatchString(found) {
			t.Errorf("memory has %q", found)
		}
	}
	filter, err := os.ReadFile(fmt.Sprintf("/proc/%d/coredump_filter", l.process.PID))
	if err != nil || strings.TrimSpace(string(filter)) != "00000000" {
		t.Errorf("core dumps would have memory in them: %q, %v", filter, err)
	}
}

// tlsRecord is the last thing that a client sent, in the buffer of the TLS library: it is overwritten by what comes next.
var tlsRecord = regexp.MustCompile(`\x17\x03\x03..[^\x00]\x00\x00.` + marked)

// hashes are the parts of what the servers keep of passwords that would show in text.
func (l *lodge) hashes(t *testing.T) (out []string) {
	t.Helper()
	rows, err := l.pair.Servers[0].DB().Query("SELECT authentication_string FROM mysql.user WHERE LENGTH(authentication_string) > 30")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var hash string
		if err := rows.Scan(&hash); err != nil {
			t.Fatal(err)
		}
		out = append(out, hash[len(hash)-24:])
	}
	if len(out) < 10 || rows.Err() != nil {
		t.Fatalf("%d hashes: %v", len(out), rows.Err())
	}
	return out
}

// memory is what the program has in its writable memory now.
func (l *lodge) memory(t *testing.T) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", l.process.PID))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", l.process.PID))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var all []byte
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		part := make([]byte, to-from)
		n, _ := mem.ReadAt(part, from) // not every mapping can be read
		all = append(all, part[:n]...)
	}
	if len(all) < 1<<20 {
		t.Fatalf("only %d bytes of memory could be read", len(all))
	}
	return all
}

// find gives what is around each occurrence of word.
func find(text []byte, word string) (found []string) {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(word))
		if i < 0 {
			return found
		}
		at += i
		found = append(found, string(text[max(0, at-60):min(len(text), at+60)]))
		at += len(word)
	}
}
