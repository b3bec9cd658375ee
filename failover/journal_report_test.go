package failover

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/onewriter/onewriter/topology"
)

var (
	serverA = topology.Instance{Name: "a", Address: "h:1"}
	serverB = topology.Instance{Name: "b", Address: "h:2"}
)

// tell writes what a controller tells of a failover, and what happened around it.
func tell(t *testing.T, j *Journal, cluster, id string, start time.Time) {
	t.Helper()
	a := actReply{ID: id, Outcome: replyCompleted, Op: operation{From: serverA, To: serverB}}
	out := reply{failover: FailoverResult{
		From: "a", To: "b", Fence: "fenced-by-death", PauseMS: 812.5,
		Loss:           Loss{AtLeast: 3, WindowMS: 400, Sentence: "At least 3 transactions of a are missing."},
		SessionsClosed: []topology.ClosedSession{{ID: 1, Reason: "a transaction was open"}, {ID: 2, Reason: "a transaction was open"}, {ID: 3, Reason: "outcome unknown"}},
	}}
	for i, e := range []Event{
		{Kind: "state", State: "running", Primary: "a", Epoch: 1},
		{Kind: "verdict", Outcome: "CONFIRMED_DOWN", Primary: "a", Reasons: []string{"a refuses connections."}},
		{Kind: "state", State: "no_primary", Primary: "a", Epoch: 1},
		{Kind: "begin", Operation: id, Primary: "a", Evidence: map[string]string{"verdict": "CONFIRMED_DOWN", "to": "", "dry_run": "false", "by": "policy"}},
		{Kind: "step", Operation: id, Step: "cutoff", Outcome: "ok", MS: 3},
		{Kind: "step", Operation: id, Step: "promote", Outcome: "ok", MS: 5},
		{Kind: "end", Operation: id, Outcome: "completed", Epoch: 2, Evidence: endEvidence(inFailover{}, a, out)},
	} {
		e.Cluster, e.At = cluster, start.Add(time.Duration(i)*time.Second)
		add(t, j, e)
	}
}

func TestReportOfAFailover(t *testing.T) {
	cfg := JournalConfig{Path: filepath.Join(t.TempDir(), "journal.jsonl"), Ring: 5}
	start := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	j := journalAt(t, cfg)
	tell(t, j, "c", "fo-1", start)
	tell(t, j, "other", "fo-2", start)
	add(t, j, Event{Cluster: "c", Kind: "begin", Operation: "sw-3", At: start.Add(time.Hour), Evidence: map[string]string{"dry_run": "true"}})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again := journalAt(t, cfg) // from disk alone
	for _, operation := range []string{"fo-1", LastOperation} {
		r, err := again.Report("c", operation)
		if err != nil {
			t.Fatal(err)
		}
		if r.Operation != "fo-1" || r.What != "failover" || r.Outcome != "completed" || r.From != "a" || r.To != "b" || r.Epoch != 2 || r.By != "policy" || r.DryRun {
			t.Errorf("%+v", r)
		}
		if r.Fence != "fenced-by-death" || r.Loss == nil || *r.Loss != (Loss{AtLeast: 3, WindowMS: 400, Sentence: "At least 3 transactions of a are missing."}) {
			t.Errorf("fence %q, loss %+v", r.Fence, r.Loss)
		}
		want := Clients{Known: true, PauseMS: 812.5, Closed: 3, Because: "2 × a transaction was open; 1 × outcome unknown"}
		if r.Clients != want || r.Ended.Sub(r.Began) != 3*time.Second {
			t.Errorf("clients %+v, took %s", r.Clients, r.Ended.Sub(r.Began))
		}
		if len(r.Steps) != 4 || r.Steps[1].Step != "cutoff" || len(r.Before) != 3 || r.Before[1].Outcome != "CONFIRMED_DOWN" {
			t.Errorf("steps %+v\nbefore %+v", r.Steps, r.Before)
		}
	}
	if _, err := again.Report("c", "fo-2"); !errors.Is(err, ErrNoOperation) {
		t.Errorf("an operation of another cluster: %v", err)
	}
}

// TestReportOfWhatWasCutShort checks an operation whose process died.
func TestReportOfWhatWasCutShort(t *testing.T) {
	j := journalAt(t, JournalConfig{})
	add(t, j, Event{Cluster: "c", Kind: "begin", Operation: "sw-1", Primary: "a", Evidence: map[string]string{"to": "b"}})
	add(t, j, Event{Cluster: "c", Kind: "step", Operation: "sw-1", Step: "fence", Outcome: "ok"})
	r, err := j.Report("c", LastOperation)
	if err != nil || r.Outcome != "" || !r.Ended.IsZero() || r.Clients.Known || r.Loss != nil || r.What != "switchover" || r.To != "b" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := j.Report("empty", LastOperation); !errors.Is(err, ErrNoOperation) {
		t.Errorf("%v", err)
	}
}

// TestLastOperationDidSomething checks what is told without a name: what was begun, with a hint at what was refused since.
func TestLastOperationDidSomething(t *testing.T) {
	j := journalAt(t, JournalConfig{})
	dry := map[string]string{"dry_run": "true"}
	for _, e := range []Event{
		{Kind: "refused", Operation: "sw-1", Reasons: []string{"too early"}},
		{Kind: "begin", Operation: "sw-2"}, {Kind: "end", Operation: "sw-2", Outcome: "completed"},
		{Kind: "begin", Operation: "sw-3", Evidence: dry}, {Kind: "refused", Operation: "sw-3", Reasons: []string{"it lags"}}, // a dry run
		{Kind: "refused", Operation: "sw-4", Reasons: []string{"no server nope"}},                              // at once
		{Kind: "begin", Operation: "sw-5"}, {Kind: "refused", Operation: "sw-5", Reasons: []string{"it lags"}}, // after a look
	} {
		e.Cluster = "c"
		add(t, j, e)
		if e.Operation == "sw-1" {
			if r, err := j.Report("c", LastOperation); err != nil || r.Operation != "sw-1" || len(r.Refused) != 0 {
				t.Errorf("nothing but a refusal: %+v, %v", r, err)
			}
		}
	}
	r, err := j.Report("c", LastOperation)
	if err != nil || r.Operation != "sw-2" || r.Outcome != "completed" {
		t.Fatalf("%+v, %v", r, err)
	}
	if len(r.Refused) != 2 || r.Refused[0].Operation != "sw-4" || r.Refused[1].Operation != "sw-5" {
		t.Errorf("refused since then: %+v", r.Refused)
	}
	if r, err := j.Report("c", "sw-5"); err != nil || r.Outcome != "" && r.Outcome != "refused" || len(r.Refused) != 0 {
		t.Errorf("by its name: %+v, %v", r, err)
	}
}

func TestReportOfARejoin(t *testing.T) {
	j := journalAt(t, JournalConfig{})
	add(t, j, Event{Cluster: "c", Kind: "begin", Operation: "rj-1", Primary: "b", Evidence: map[string]string{"server": "a", "method": "rewind"}})
	out := reply{rejoin: RejoinResult{Server: "a", Method: "rewind", Verdict: "clean", Undone: "/x/undone.sql", Errant: make([]ErrantTransaction, 4)}}
	add(t, j, Event{Cluster: "c", Kind: "end", Operation: "rj-1", Outcome: "completed", Evidence: endEvidence(inRejoin{}, actReply{}, out)})
	r, err := j.Report("c", "rj-1")
	if err != nil || r.What != "rejoin" || r.Server != "a" || r.Method != "rewind" || r.Verdict != "clean" || r.Errant != 4 || r.Undone != "/x/undone.sql" || r.From != "" {
		t.Errorf("%+v, %v", r, err)
	}
}
