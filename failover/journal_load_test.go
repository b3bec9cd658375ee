package failover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func journalAt(t *testing.T, cfg JournalConfig) *Journal {
	t.Helper()
	j, err := NewJournal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func add(t *testing.T, j *Journal, e Event) Event {
	t.Helper()
	e, err := j.Append(e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestJournalGoesOnAfterARestart(t *testing.T) {
	cfg := JournalConfig{Path: filepath.Join(t.TempDir(), "journal.jsonl"), MaxBytes: 4 << 10, Keep: 2, Ring: 30}
	j := journalAt(t, cfg)
	for range 100 {
		add(t, j, Event{Cluster: "c", Kind: "step", Evidence: map[string]string{"flag": strings.Repeat("x", 50)}})
	}
	before := j.Events(0)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again := journalAt(t, cfg)
	if err := again.Unread(); err != nil {
		t.Error(err)
	}
	after := again.Events(0)
	if len(after) != 30 || after[0].Seq != before[0].Seq || after[29].Evidence["flag"] != before[29].Evidence["flag"] {
		t.Fatalf("%d events from %d, before %d from %d", len(after), after[0].Seq, len(before), before[0].Seq)
	}
	if e := add(t, again, Event{Cluster: "c", Kind: "step"}); e.Seq != 101 {
		t.Errorf("the next event is %d", e.Seq)
	}
}

func TestJournalSurvivesDamage(t *testing.T) {
	for name, c := range map[string]struct {
		damage string
		events int
	}{
		"cut off":       {`{"seq":3,"kind":"st`, 2},
		"zeroes":        {strings.Repeat("\x00", 100), 2},
		"another JSON":  {"[1,2]\n{}\n", 2},
		"too long":      {`{"seq":3,"kind":"` + strings.Repeat("x", 2*maxLine) + "\"}\n", 2},
		"only unended":  {`{"seq":3,"kind":"step"}`, 3},
		"numbers again": {`{"seq":1,"kind":"step"}` + "\n", 3},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.jsonl")
			good := `{"seq":1,"kind":"begin"}` + "\n" + `{"seq":2,"kind":"step"}` + "\n"
			if err := os.WriteFile(path, []byte(good+c.damage), 0o600); err != nil {
				t.Fatal(err)
			}
			j := journalAt(t, JournalConfig{Path: path})
			if n := len(j.Events(0)); n != c.events {
				t.Errorf("%d events", n)
			}
			if (j.Unread() == nil) != (c.events == 3) {
				t.Errorf("Unread: %v", j.Unread())
			}
			e := add(t, j, Event{Kind: "end"})
			if e.Seq != uint64(c.events)+1 {
				t.Errorf("the next event is %d", e.Seq)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if kept := journalAt(t, JournalConfig{Path: path}).Events(uint64(c.events)); len(kept) != 1 || kept[0].Kind != "end" {
				t.Errorf("what follows the damage: %+v", kept)
			}
		})
	}
}

// TestJournalKeepsClustersApart checks that a cluster with much to tell does not push out what another one told.
func TestJournalKeepsClustersApart(t *testing.T) {
	cfg := JournalConfig{Path: filepath.Join(t.TempDir(), "journal.jsonl"), Ring: 10}
	j := journalAt(t, cfg)
	add(t, j, Event{Cluster: "quiet", Kind: "begin"})
	for range 100 {
		add(t, j, Event{Cluster: "loud", Kind: "step"})
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for what, j := range map[string]*Journal{"before a restart": j, "after": journalAt(t, cfg)} {
		events := j.Events(0)
		if len(events) != 11 || events[0].Cluster != "quiet" || events[0].Seq != 1 || events[1].Seq != 92 {
			t.Errorf("%s: %+v", what, events)
		}
	}
}

func TestHistoryFilters(t *testing.T) {
	cfg := JournalConfig{Path: filepath.Join(t.TempDir(), "journal.jsonl"), MaxBytes: 4 << 10, Keep: 5, Ring: 5}
	j := journalAt(t, cfg)
	start := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for i := range 40 {
		e := Event{Cluster: "c", Kind: "step", At: start.Add(time.Duration(i) * time.Minute), Operation: "op-new", Reasons: []string{strings.Repeat("x", 150)}}
		if i < 20 {
			e.Operation = "op-old"
		}
		if i%10 == 0 {
			e.Kind = "begin"
		}
		add(t, j, e)
	}
	for name, c := range map[string]struct {
		f           Filter
		first, last uint64
		n           int
	}{
		"all":             {Filter{}, 1, 40, 40},
		"newest":          {Filter{Limit: 3}, 38, 40, 3},
		"beyond memory":   {Filter{Limit: 10}, 31, 40, 10},
		"operation":       {Filter{Operation: "op-old"}, 1, 20, 20},
		"kind":            {Filter{Kinds: []string{"begin", "end"}}, 1, 31, 4},
		"after":           {Filter{After: 10}, 11, 40, 30},
		"after in memory": {Filter{After: 38}, 39, 40, 2},
		"time":            {Filter{From: start.Add(5 * time.Minute), Until: start.Add(7 * time.Minute)}, 6, 8, 3},
		"none":            {Filter{Cluster: "other"}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := j.History(c.f)
			if err != nil || len(got) != c.n {
				t.Fatalf("%d events, %v", len(got), err)
			}
			if c.n > 0 && (got[0].Seq != c.first || got[c.n-1].Seq != c.last) {
				t.Errorf("from %d to %d", got[0].Seq, got[c.n-1].Seq)
			}
		})
	}
}
