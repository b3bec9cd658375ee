package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/onewriter/onewriter/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const switchoverPath = "/api/v1/clusters/orders/switchover"

// ask sends one request to the handler as a client of the same machine would.
func ask(s *Server, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8989"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestClusterContract(t *testing.T) {
	c := &cluster{name: "orders", status: running()}
	w := ask(newServer(t, "", c, nil), "GET", "/api/v1/clusters/orders", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"name", "state", "epoch", "primary", "servers"} {
		if _, ok := got[key]; !ok {
			t.Errorf("%s is missing", key)
		}
	}
	server := got["servers"].([]any)[0].(map[string]any)
	for _, key := range []string{"name", "address", "role", "healthy", "read_only", "lag_seconds", "position", "problems"} {
		if _, ok := server[key]; !ok {
			t.Errorf("servers[0].%s is missing", key)
		}
	}
	if server["lag_seconds"] != nil || server["problems"] == nil || got["reasons"] == nil {
		t.Errorf("null and empty are mixed up: %s", w.Body)
	}
	if w := ask(newServer(t, "", c, nil), "GET", "/api/v1/clusters/nope", ""); w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(newServer(t, "", c, nil), "GET", "/api/v1/clusters/orders/sessions", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"pins": []`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestKillSession(t *testing.T) {
	s := newServer(t, "", &cluster{name: "orders"}, nil)
	for path, want := range map[string]int{"orders/sessions/7": 200, "orders/sessions/8": 404, "orders/sessions/x": 404, "nope/sessions/7": 404} {
		w := ask(s, "DELETE", "/api/v1/clusters/"+path, "")
		if w.Code != want || want == 200 && !strings.Contains(w.Body.String(), `"handshake_id": 90`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestSwitchoverAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		want   string
	}{
		"done":       {nil, 200, `"sessions_closed": []`},
		"refused":    {&RefusedError{Reasons: []string{"The standby lags 9 s."}}, 409, "The standby lags 9 s."},
		"aborted":    {&AbortedError{ID: "op1", Phase: "fence", Reasons: []string{"It did not answer."}}, 503, `"phase": "fence"`},
		"unresolved": {&AbortedError{Phase: "fence", Unresolved: true}, 503, `"unresolved": true`},
		"other":      {errors.New("no controller"), 503, "no controller"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := &cluster{name: "orders", status: running(), do: func(ctx context.Context, r api.SwitchoverRequest) (api.Switchover, error) {
				if c.err != nil {
					return api.Switchover{}, c.err
				}
				return done(ctx, r)
			}}
			w := ask(newServer(t, "", cl, nil), "POST", switchoverPath, `{"to":"b"}`)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if c.status != 200 && (w.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(w.Body.String(), `"reasons": [`)) {
				t.Errorf("%v %s", w.Header(), w.Body)
			}
		})
	}
}

func TestBadSwitchoverRequests(t *testing.T) {
	c := &cluster{name: "orders", do: done}
	s := newServer(t, "", c, nil)
	for name, test := range map[string]struct {
		body   string
		header []string
		status int
	}{
		"form":          {"to=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"no JSON":       {"{", nil, 400},
		"unknown field": {`{"too":"b"}`, nil, 400},
		"two values":    {`{} {}`, nil, 400},
		"too large":     {`{"to":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413},
		"other site":    {`{}`, []string{"Origin", "http://evil.example"}, 403},
		"cross site":    {`{}`, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"rebound name":  {`{}`, []string{"Host", "evil.example:8989"}, 403},
		"long key":      {`{}`, []string{"Idempotency-Key", strings.Repeat("k", maxKey+1)}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(s, "POST", switchoverPath, test.body, test.header...)
			if w.Code != test.status || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	if c.called() != 0 {
		t.Errorf("%d switchovers", c.called())
	}
}

func TestTokenIsNeeded(t *testing.T) {
	c := &cluster{name: "orders", status: running(), do: done}
	s := newServer(t, "0123456789abcdef", c, &journal{})
	for _, r := range s.table() {
		path := strings.NewReplacer("{cluster}", "orders", "{server}", "a", "{operation}", "last", "{session}", "7").Replace(r.path)
		if r.path == "/api/v1/events" {
			continue // it has its own test
		}
		body := ""
		if r.method == "POST" {
			body = "{}"
		}
		want := 401
		if r.access == open {
			want = 200
		}
		if w := ask(s, r.method, path, body); w.Code != want {
			t.Errorf("%s without token: %d", path, w.Code)
		}
		if w := ask(s, r.method, path, body, "Authorization", "Bearer wrong"); w.Code != want {
			t.Errorf("%s with a wrong token: %d", path, w.Code)
		}
		if w := ask(s, r.method, path, body, "Authorization", "bearer 0123456789abcdef", "Host", "proxy.example:8989"); w.Code != 200 {
			t.Errorf("%s with the token: %d %s", path, w.Code, w.Body)
		}
	}
	if c.called() != 1 {
		t.Errorf("%d switchovers", c.called())
	}
}

func TestOpenAddressNeedsToken(t *testing.T) {
	for address, ok := range map[string]bool{"127.0.0.1:0": true, "[::1]:0": true, "localhost:0": true, ":0": false, "0.0.0.0:0": false, "10.0.0.1:1": false, "nonsense": false} {
		_, err := New(Config{Address: address, Registry: prometheus.NewRegistry(), Logger: zerolog.Nop()})
		if (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	release := make(chan struct{})
	c := &cluster{name: "orders", do: func(ctx context.Context, r api.SwitchoverRequest) (api.Switchover, error) {
		<-release
		return done(ctx, r)
	}}
	s := newServer(t, "", c, nil)
	answers := make(chan *httptest.ResponseRecorder, 3)
	for range 3 {
		go func() { answers <- ask(s, "POST", switchoverPath, `{"to":"b"}`, "Idempotency-Key", "k1") }()
	}
	for c.called() == 0 {
		time.Sleep(time.Millisecond)
	}
	if w := ask(s, "POST", switchoverPath, `{"to":"a"}`, "Idempotency-Key", "k1"); w.Code != 422 {
		t.Errorf("other body: %d %s", w.Code, w.Body)
	}
	close(release)
	var first string
	for range 3 {
		w := <-answers
		if first == "" {
			first = w.Body.String()
		}
		if w.Code != 200 || w.Body.String() != first {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if w := ask(s, "POST", switchoverPath, `{"to":"b"}`, "Idempotency-Key", "k1"); w.Body.String() != first {
		t.Errorf("later: %d %s", w.Code, w.Body)
	}
	if c.called() != 1 {
		t.Errorf("%d switchovers", c.called())
	}
	ask(s, "POST", switchoverPath, `{"to":"b"}`, "Idempotency-Key", "k2")
	ask(s, "POST", switchoverPath, `{"to":"b"}`)
	if c.called() != 3 {
		t.Errorf("%d switchovers", c.called())
	}
}

// TestOperationOutlivesItsClient checks that a client that hangs up does not stop a switchover half way.
func TestOperationOutlivesItsClient(t *testing.T) {
	began, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	c := &cluster{name: "orders", do: func(ctx context.Context, r api.SwitchoverRequest) (api.Switchover, error) {
		close(began)
		<-release
		ended <- ctx.Err()
		return done(ctx, r)
	}}
	url := start(t, newServer(t, "", c, nil))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+switchoverPath, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	failed := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	<-began
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("client: %v", err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the operation was cancelled: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestHealthChecks(t *testing.T) {
	c := &cluster{name: "orders"}
	s := newServer(t, "", c, nil)
	expect := func(situation string, want map[string]int) {
		t.Helper()
		for path, status := range want {
			if w := ask(s, "GET", path, ""); w.Code != status {
				t.Errorf("%s: %s = %d %s", situation, path, w.Code, w.Body)
			}
		}
	}
	c.set(api.Cluster{State: "starting"})
	expect("starting", map[string]int{"/livez": 200, "/healthz": 200, "/readyz": 503, "/primary/orders": 503, "/standby/orders": 503, "/primary/nope": 404})
	c.set(running())
	expect("running", map[string]int{"/livez": 200, "/readyz": 200, "/primary/orders": 200, "/standby/orders": 200, "/standby/orders?lag=100ms": 503, "/standby/orders?lag=x": 400})
	dead := running()
	dead.Servers[0].Healthy, dead.Servers[0].Probe = false, "refused"
	c.set(dead)
	expect("dead primary", map[string]int{"/livez": 200, "/readyz": 503, "/primary/orders": 503, "/standby/orders": 200})
	if w := ask(s, "GET", "/readyz", ""); !strings.Contains(w.Body.String(), "does not answer (refused)") {
		t.Errorf("no reason: %s", w.Body)
	}
	c.set(running())
	s.Drain()
	expect("draining", map[string]int{"/livez": 200, "/readyz": 503})
	if w := ask(s, "GET", "/readyz", "", "Host", "10.1.2.3:8989"); w.Code != 503 {
		t.Errorf("a probe by address is refused: %d", w.Code)
	}
}

func TestEventStream(t *testing.T) {
	j := &journal{}
	j.append(api.Event{Cluster: "orders", Kind: "state", State: "running"})
	j.append(api.Event{Cluster: "other", Kind: "state"})
	j.append(api.Event{Cluster: "orders", Kind: "begin"})
	url := start(t, newServer(t, "", &cluster{name: "orders"}, j))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/events?since=1&cluster=orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // test
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("content type %q", ct)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func(prefix string) string {
		t.Helper()
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				return text
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
	if id := next("id: "); id != "3" {
		t.Errorf("first id %s", id)
	}
	j.append(api.Event{Cluster: "orders", Kind: "end", Outcome: "ok"})
	if kind := next("event: "); kind != "begin" {
		t.Errorf("kind %s", kind)
	}
	if id := next("id: "); id != "4" {
		t.Errorf("second id %s", id)
	}
	var e api.Event
	if err := json.Unmarshal([]byte(next("data: ")), &e); err != nil || e.Outcome != "ok" {
		t.Errorf("%+v %v", e, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestHistory(t *testing.T) {
	j := &journal{}
	for range 5 {
		j.append(api.Event{Cluster: "orders", Kind: "step"})
	}
	s := newServer(t, "", &cluster{name: "orders"}, j)
	for query, want := range map[string][]uint64{
		"": {1, 2, 3, 4, 5}, "?since=3": {4, 5}, "?limit=2": {4, 5}, "?since=5": {}, "?since=99": {1, 2, 3, 4, 5}, "?cluster=x": {},
	} {
		var got api.History
		w := ask(s, "GET", "/api/v1/history"+query, "")
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		seqs := []uint64{}
		for _, e := range got.Events {
			seqs = append(seqs, e.Seq)
		}
		if !slices.Equal(seqs, want) {
			t.Errorf("%q: %v, want %v", query, seqs, want)
		}
	}
	for _, query := range []string{"?since=-1", "?limit=0"} {
		if w := ask(s, "GET", "/api/v1/history"+query, ""); w.Code != 400 {
			t.Errorf("%q: %d", query, w.Code)
		}
	}
}

func TestMetrics(t *testing.T) {
	c := &cluster{name: "orders", status: running(), do: done}
	s := newServer(t, "", c, nil)
	ask(s, "POST", switchoverPath, `{"to":"b"}`)
	body, err := io.ReadAll(ask(s, "GET", "/metrics", "").Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`onewriter_epoch{cluster="orders"} 3`, `onewriter_is_writer{cluster="orders"} 1`, `onewriter_state{cluster="orders",state="running"} 1`,
		`onewriter_server_is_primary{cluster="orders",server="a"} 1`, `onewriter_server_healthy{cluster="orders",server="b"} 1`,
		`onewriter_replication_lag_seconds{cluster="orders",server="b"} 0.25`, `onewriter_sessions_in_transaction{cluster="orders"} 1`,
		`onewriter_server_read_only{cluster="orders",server="b"} 1`, `onewriter_switchovers_total{cluster="orders",outcome="completed"} 1`, `onewriter_switchovers_total{cluster="orders",outcome="refused"} 0`,
		`onewriter_switchover_pause_seconds_bucket{cluster="orders",le="0.005"} 1`, `onewriter_build_info{go_version=`, `go_goroutines`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(string(body), `lag_seconds{cluster="orders",server="a"}`) {
		t.Error("the primary has a lag")
	}
	if strings.Contains(string(body), `read_only{cluster="orders",server="a"}`) {
		t.Error("a server that was never seen is said to be open")
	}
}

// TestOpenAPIMatchesRoutes checks that the document and the routes name each other.
func TestOpenAPIMatchesRoutes(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "", &cluster{name: "orders"}, nil)
	for _, r := range s.table() {
		if doc.Paths[r.path][strings.ToLower(r.method)] == nil {
			t.Errorf("%s %s is not in openapi.json", r.method, r.path)
		}
	}
	n := 0
	for _, methods := range doc.Paths {
		n += len(methods)
	}
	if n != len(s.table()) {
		t.Errorf("openapi.json has %d operations, the server %d", n, len(s.table()))
	}
}
