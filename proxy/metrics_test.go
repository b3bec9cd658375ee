package proxy

import (
	"bufio"
	"errors"
	"math"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/onewriter/onewriter/internal/wire"
)

// scrape reads all series as Prometheus would; missing ones are NaN.
func scrape(t *testing.T, r *prometheus.Registry) func(series string) float64 {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatal(w.Body)
	}
	got := map[string]float64{}
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && !strings.HasPrefix(series, "#") {
			got[series] = v
		}
	}
	return func(series string) float64 {
		if v, ok := got[series]; ok {
			return v
		}
		return math.NaN()
	}
}

func TestMetricsOfThePlane(t *testing.T) {
	registry := prometheus.NewRegistry()
	bed := newTestbed(t, func(c *Config) { c.Metrics = NewMetrics(registry, "test") })
	c := bed.client()
	c.must("DO 1")
	c.must("INSERT 1")
	c.wantAt("a")
	raw := bed.rawLogin()
	if _, err := raw.Write([]byte{5, 0, 0, 0, wire.ComStmtClose, 1, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	bed.eventually("the closed statement is counted", func() bool {
		return scrape(t, registry)(`onewriter_commands_total{cluster="test",command="stmt_close",server="a"}`) == 1
	})
	bed.cluster.Hold("test")
	done := make(chan error, 1)
	go func() { done <- c.exec("INSERT 2") }()
	bed.eventually("the client waits", func() bool { return bed.cluster.Held() == 1 })
	bed.move()
	bed.cluster.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	bed.b.Cut()
	bed.eventually("the connection is gone", func() bool { return bed.b.Conns() == 0 })
	time.Sleep(peekAfter + 10*time.Millisecond) // later than a session looks for that
	c.must("HANDLER t OPEN")
	c.wantAt("b")
	bed.eventually("the last query is counted", func() bool { // which is done when its answer is out
		return scrape(t, registry)(`onewriter_commands_total{cluster="test",command="query",server="b"}`) == 3
	})

	get := scrape(t, registry)
	for series, want := range map[string]float64{
		`onewriter_commands_total{cluster="test",command="query",server="a"}`:                            3,
		`onewriter_commands_total{cluster="test",command="query",server="b"}`:                            3,
		`onewriter_command_errors_total{cluster="test",command="query",server="a"}`:                      0,
		`onewriter_command_duration_seconds_count{cluster="test",command="query",server="a"}`:            3,
		`onewriter_command_duration_seconds_bucket{cluster="test",command="query",server="a",le="+Inf"}`: 3,
		`onewriter_command_duration_seconds_count{cluster="test",command="stmt_close",server="a"}`:       math.NaN(),
		`onewriter_relayed_bytes_total{cluster="test",direction="to_server",server="b"}`:                 3*5 + float64(len("INSERT 2"+"HANDLER t OPEN"+"SELECT name")),
		`onewriter_hold_duration_seconds_count{cluster="test"}`:                                          1,
		`onewriter_login_duration_seconds_count{cluster="test"}`:                                         2,
		`onewriter_session_moves_total{cluster="test",outcome="moved"}`:                                  1,
		`onewriter_session_moves_total{cluster="test",outcome="reconnected"}`:                            1,
		`onewriter_session_move_duration_seconds_count{cluster="test"}`:                                  2,
		`onewriter_session_pins_total{cluster="test",reason="handler"}`:                                  1,
		`onewriter_session_pins{cluster="test",reason="handler"}`:                                        1,
		`onewriter_session_pins{cluster="test",reason="temporary_table"}`:                                0,
	} {
		if got := get(series); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	if sum := get(`onewriter_command_duration_seconds_sum{cluster="test",command="query",server="a"}`); sum <= 0 || sum > 3*patience.Seconds() {
		t.Errorf("3 queries took %v s", sum)
	}
}

func TestMetricsOfRefusals(t *testing.T) {
	registry := prometheus.NewRegistry()
	bed := newTestbed(t, func(c *Config) {
		c.Metrics, c.HoldTimeout = NewMetrics(registry, "test"), 20*time.Millisecond
	})
	c := bed.client()
	c.must("HANDLER t OPEN")
	bed.cluster.Hold("test")
	wantCode(t, c.exec("INSERT 1"), erNoPrimary, "HY000")
	bed.cluster.Resume()
	bed.move()
	if err := c.exec("DO 1"); err == nil {
		t.Fatal("a pinned session was moved")
	}
	bed.eventually("the session ends", func() bool { return bed.cluster.Count() == 0 })
	get := scrape(t, registry)
	for series, want := range map[string]float64{
		`onewriter_client_errors_total{cluster="test",code="1290"}`:           1,
		`onewriter_client_errors_total{cluster="test",code="1053"}`:           1,
		`onewriter_session_moves_total{cluster="test",outcome="pinned"}`:      1,
		`onewriter_hold_duration_seconds_count{cluster="test"}`:               1,
		`onewriter_commands_total{cluster="test",command="query",server="a"}`: 1,
	} {
		if got := get(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// TestEveryCommandHasACell looks for two known commands that are counted as one.
func TestEveryCommandHasACell(t *testing.T) {
	for code := range 256 {
		if got, want := slotNames[commandSlot[code]], wire.CommandName(byte(code)); got != want {
			t.Errorf("command %#x is counted as %s, want %s", code, got, want)
		}
	}
}

func TestLatencyBuckets(t *testing.T) {
	m := newMeter("a")
	for _, d := range []time.Duration{0, 50 * time.Microsecond, 50*time.Microsecond + 1, time.Second, time.Hour} {
		m.shard(7).cells[0].observe(d)
	}
	m.shard(8).cells[0].observe(time.Second)
	total := m.count(0)
	cum := total.cumulated()
	if cum[.00005] != 2 || cum[.0001] != 3 || cum[.5] != 3 || cum[1] != 5 || cum[10] != 5 || total.answered() != 6 {
		t.Errorf("%v of %d", cum, total.answered())
	}
	if total.took < time.Hour {
		t.Error(total.took)
	}
}

// BenchmarkMeter is what measuring one command costs, the reading of the clock at its begin and end included.
func BenchmarkMeter(b *testing.B) {
	c := &Cluster{tallies: newTallies(nil), meters: map[string]*meter{"a": newMeter("a")}}
	b.RunParallel(func(pb *testing.PB) {
		f := flow{shard: c.meters["a"].shard(c.nextID.Add(1))}
		for pb.Next() {
			f.start(c.tallies.now())
			f.up(wire.ComQuery, 40)
			f.down(wire.ComQuery, 200)
			f.flush(wire.ComQuery).observe(time.Duration(c.tallies.now() - f.began))
		}
	})
}

func TestToldIsNotTheServers(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, "test")
	m.told(&wire.ServerError{Code: 1045})
	m.told(errors.New("told"))
	get := scrape(t, registry)
	if get(`onewriter_client_errors_total{cluster="test",code="1184"}`) != 1 || !math.IsNaN(get(`onewriter_client_errors_total{cluster="test",code="1045"}`)) {
		t.Error("a server's error counts as the proxy's, or the proxy's own does not")
	}
}

// BenchmarkMeterCounting is BenchmarkMeter without the clock, which sessions look at anyway.
func BenchmarkMeterCounting(b *testing.B) {
	m := newMeter("a")
	f := flow{shard: m.shard(1)}
	for b.Loop() {
		f.start(1)
		f.up(wire.ComQuery, 40)
		f.down(wire.ComQuery, 200)
		f.flush(wire.ComQuery).observe(70 * time.Microsecond)
	}
}
