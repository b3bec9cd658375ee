package admin

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

const (
	failoverPath = "/api/v1/clusters/orders/failover"
	rejoinPath   = "/api/v1/clusters/orders/servers/a/rejoin"
)

func TestFailoverAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		path, body string
		err        error
		status     int
		want       []string
	}{
		"failover": {failoverPath, `{"to":"b","force":true}`, nil, 200, []string{`"fence": "fenced-by-death"`, `"phases": []`, `"sessions_closed": []`, `"exact": true`}},
		"refused":  {failoverPath, `{}`, &RefusedError{Reasons: []string{"The primary answers."}}, 409, []string{"The primary answers.", "The failover was refused"}},
		"aborted":  {failoverPath, `{}`, &AbortedError{ID: "fo-1", Phase: "apply", Reasons: []string{"Too slow."}}, 503, []string{`"phase": "apply"`, "The failover was aborted"}},
		"typo":     {failoverPath, `{"farce":true}`, nil, 400, []string{`unknown field`, "no failover request"}},
		"rejoin":   {rejoinPath, `{"method":"rewind"}`, nil, 200, []string{`"server": "a"`, `"method": "rewind"`, `"errant": []`, `"reasons": []`}},
		"diverged": {rejoinPath, `{}`, &RefusedError{Reasons: []string{"a has more."}, Rejoin: &api.Rejoin{Verdict: "diverged", Errant: []api.ErrantTransaction{{GTID: "0-1-7"}}}},
			409, []string{`"verdict": "diverged"`, `"gtid": "0-1-7"`, `"phases": []`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(newServer(t, "", &cluster{name: "orders", err: c.err}, nil), "POST", c.path, c.body)
			if w.Code != c.status {
				t.Errorf("%d", w.Code)
			}
			for _, want := range c.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("%s is not in %s", want, w.Body)
				}
			}
		})
	}
}

// TestKeysBelongToOnePath checks that a key of a switchover is not taken for one of a failover with the same body.
func TestKeysBelongToOnePath(t *testing.T) {
	s := newServer(t, "", &cluster{name: "orders", do: done}, nil)
	first := ask(s, "POST", switchoverPath, `{"to":"b"}`, "Idempotency-Key", "k")
	second := ask(s, "POST", failoverPath, `{"to":"b"}`, "Idempotency-Key", "k")
	if first.Code != 200 || second.Code != 200 || !strings.Contains(second.Body.String(), "fo-1") {
		t.Errorf("%d %s\n%d %s", first.Code, first.Body, second.Code, second.Body)
	}
}

func TestDoctor(t *testing.T) {
	s := newServer(t, "", &cluster{name: "orders"}, nil)
	codes := func(w *httptest.ResponseRecorder) (out []string) {
		t.Helper()
		var d api.Doctor
		if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, f := range d.Findings {
			out = append(out, f.Code)
		}
		return out
	}
	if got := codes(ask(s, "GET", "/api/v1/clusters/orders/doctor", "")); !slices.Equal(got, []string{"CLOCK_DRIFT"}) {
		t.Errorf("the last examination: %v", got)
	}
	w := ask(s, "GET", "/api/v1/clusters/orders/doctor?run=now", "")
	if got := codes(w); len(got) != 2 || !strings.Contains(w.Body.String(), `"fix": []`) || !strings.Contains(w.Body.String(), `"failed": []`) {
		t.Errorf("now: %v in %s", got, w.Body)
	}
	if w := ask(s, "GET", "/api/v1/clusters/orders/doctor?run=later", ""); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s, "POST", "/api/v1/clusters/orders/doctor/self-test", "{}"); w.Code != 200 || !strings.Contains(w.Body.String(), `"round_trip_ms": 3`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestClusterHistoryAndReport(t *testing.T) {
	j := &journal{}
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for i, e := range []api.Event{{Cluster: "orders", Kind: "state"}, {Cluster: "other", Kind: "begin"}, {Cluster: "orders", Kind: "begin"}} {
		e.At = at.Add(time.Duration(i) * time.Hour)
		j.append(e)
	}
	s := newServer(t, "", &cluster{name: "orders"}, j)
	for query, want := range map[string][]uint64{
		"": {1, 3}, "?kind=begin,end": {3}, "?from=2026-01-02T04:00:00Z": {3}, "?since=1": {3}, "?limit=1": {3}, "?cluster=other": {1, 3},
	} {
		var got api.History
		if w := ask(s, "GET", "/api/v1/clusters/orders/history"+query, ""); json.Unmarshal(w.Body.Bytes(), &got) != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		var seqs []uint64
		for _, e := range got.Events {
			seqs = append(seqs, e.Seq)
		}
		if !slices.Equal(seqs, want) {
			t.Errorf("%q: %v, want %v", query, seqs, want)
		}
	}
	if w := ask(s, "GET", "/api/v1/clusters/orders/history?from=yesterday", ""); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s, "GET", "/api/v1/clusters/orders/report/last", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"steps": []`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s, "GET", "/api/v1/clusters/orders/report/op2", ""); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestFailoverMetrics(t *testing.T) {
	j := &journal{}
	end := func(operation, kind, outcome string, evidence map[string]string) {
		j.append(api.Event{Cluster: "orders", Kind: kind, Operation: operation, Outcome: outcome, Evidence: evidence})
	}
	end("fo-0", "end", "completed", map[string]string{"fence": "fenced-proved"}) // before the process began
	c := &cluster{name: "orders"}
	st := running()
	st.Verdict.Kind, st.Away, st.Blocked = "MY_LINK", []api.AwayServer{{Server: "b"}}, []string{"Cooldown."}
	c.set(st)
	s := newServer(t, "", c, j)
	start(t, s)
	end("fo-1", "end", "completed", map[string]string{"fence": "fenced-by-death", "pause_ms": "850"})
	end("fo-2", "refused", "refused", nil)
	end("rj-3", "end", "completed", nil)
	end("sw-4", "end", "completed", nil)
	want := []string{
		`onewriter_failovers_total{cluster="orders",fence="fenced-by-death",outcome="completed"} 1`,
		`onewriter_failovers_total{cluster="orders",fence="fenced-proved",outcome="completed"} 0`,
		`onewriter_failovers_total{cluster="orders",fence="",outcome="refused"} 1`,
		`onewriter_failover_pause_seconds_bucket{cluster="orders",le="1"} 1`, `onewriter_rejoins_total{cluster="orders",outcome="completed"} 1`,
		`onewriter_verdict{cluster="orders",verdict="MY_LINK"} 1`, `onewriter_verdict{cluster="orders",verdict="FINE"} 0`,
		`onewriter_servers_away{cluster="orders"} 1`, `onewriter_failover_blocked{cluster="orders"} 1`,
		`onewriter_doctor_findings{cluster="orders",severity="warning"} 1`, `onewriter_doctor_failed_checks{cluster="orders"} 0`,
	}
	missing := want
	for deadline := time.Now().Add(5 * time.Second); len(missing) > 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		body := ask(s, "GET", "/metrics", "").Body.String()
		missing = slices.DeleteFunc(slices.Clone(want), func(line string) bool { return strings.Contains(body, line) })
	}
	for _, line := range missing {
		t.Errorf("%s is missing", line)
	}
}
