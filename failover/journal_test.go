package failover

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestJournalKeepsOrderOnDiskAndInMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "journal.jsonl")
	j, err := NewJournal(JournalConfig{Path: path, MaxBytes: 4 << 10, Keep: 2, Ring: 5})
	if err != nil {
		t.Fatal(err)
	}
	events, cancel := j.Subscribe()
	for range 100 {
		if _, err := j.Append(Event{Cluster: "c", Kind: "step", Step: "fence", Evidence: map[string]string{"flag": "read_only=1"}}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	cancel() // twice is harmless
	last := uint64(0)
	for e := range events {
		if e.Seq != last+1 {
			t.Fatalf("event %d follows %d", e.Seq, last)
		}
		last = e.Seq
	}
	if last != 100 {
		t.Fatalf("subscriber saw %d of 100", last)
	}
	if kept := j.Events(97); len(kept) != 3 || kept[0].Seq != 98 {
		t.Fatalf("Events(97) = %v", kept)
	}
	if kept := j.Events(0); len(kept) != 5 {
		t.Fatalf("the ring of 5 holds %d", len(kept))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	for _, name := range []string{path + ".2", path + ".1", path} {
		seqs = append(seqs, readSeqs(t, name)...)
	}
	for i := 1; i < len(seqs); i++ {
		if seqs[i] != seqs[i-1]+1 {
			t.Fatalf("on disk %d follows %d", seqs[i], seqs[i-1])
		}
	}
	if seqs[len(seqs)-1] != 100 {
		t.Fatalf("the newest line is %d", seqs[len(seqs)-1])
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Fatal("more files than Keep")
	}
}

func readSeqs(t *testing.T, path string) []uint64 {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var out []uint64
	for sc := bufio.NewScanner(file); sc.Scan(); {
		var e Event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v in %q", path, err, sc.Text())
		}
		out = append(out, e.Seq)
	}
	return out
}

// A rotation that fails is told, and so is every event that is not on disk after it, until the file can be opened again.
func TestJournalRecoversFromAFailedRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep")
	path := filepath.Join(dir, "journal.jsonl")
	j, err := NewJournal(JournalConfig{Path: path, MaxBytes: 4 << 10, Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	event := Event{Cluster: "c", Kind: "step", Step: string(make([]byte, 1000))}
	if _, err := j.Append(event); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 3 { // a NUL takes six bytes: each begins a file
		if _, err = j.Append(event); err == nil {
			t.Error("an event is not on disk and nobody was told")
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(event); err != nil {
		t.Fatal(err)
	}
	if seqs := readSeqs(t, path); len(seqs) != 1 || seqs[0] != 5 {
		t.Errorf("on disk: %v", seqs)
	}
	if err := os.MkdirAll(filepath.Join(path+".1", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(event); err == nil {
		t.Error("a file that cannot be renamed is no error")
	}
	if seqs := readSeqs(t, path); len(seqs) != 2 || seqs[1] != 6 {
		t.Errorf("on disk while it cannot be renamed: %v", seqs)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(event); err != nil {
		t.Errorf("after Close: %v", err)
	}
}
