package demo

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

func good() Result {
	r := empty("mariadb")
	r.Acknowledged, r.Switchovers, r.ChecksumsEqual, r.Seconds = 12345, 2, true, 6
	r.Rows["a"], r.Rows["b"], r.Primary = 12345, 12345, "a"
	r.PausesMS = []float64{12.3, 4}
	r.Checksums["a"], r.Checksums["b"] = "77", "77"
	return r
}

func TestThePromiseHoldsOnlyWhenNothingIsWrong(t *testing.T) {
	if !good().held() {
		t.Fatal("the promise does not hold for a run without a fault")
	}
	failed := good()
	failed.SwitchoversFailed = 1
	if !failed.held() {
		t.Error("a switchover that was undone without harm breaks the promise")
	}
	for name, spoil := range map[string]func(*Result){
		"no write":           func(r *Result) { r.Acknowledged = 0 },
		"a lost row":         func(r *Result) { r.Lost = 1 },
		"a client error":     func(r *Result) { r.ClientErrors = 1 },
		"no switchover":      func(r *Result) { r.Switchovers = 0 },
		"a wrong writer":     func(r *Result) { r.WrongWriter = 1 },
		"other checksums":    func(r *Result) { r.ChecksumsEqual = false },
		"other rows":         func(r *Result) { r.Rows["b"]++ },
		"nothing was looked": func(r *Result) { r.Rows = nil },
	} {
		r := good()
		spoil(&r)
		if r.held() {
			t.Errorf("the promise holds in spite of %s", name)
		}
	}
}

func TestJSONHasWhatScriptsRelyOn(t *testing.T) {
	text, err := json.Marshal(empty("mysql"))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"flavor", "server_version", "promise_held", "acknowledged", "lost", "client_errors", "switchovers", "pauses_ms",
		"longest_pause_ms", "longest_pause_at_s", "rows", "checksums_equal", "primary", "errors",
	} {
		if v, ok := m[name]; !ok || v == nil {
			t.Errorf("%s is missing or null in %s", name, text)
		}
	}
}

func TestOnlySomeErrorsAreKept(t *testing.T) {
	r := empty("mysql")
	for range 3 * maxErrors {
		r.addError("x")
	}
	if len(r.Errors) != maxErrors {
		t.Errorf("%d errors are kept, want %d", len(r.Errors), maxErrors)
	}
}

func TestStoryIsPlainTextAwayFromATerminal(t *testing.T) {
	var out bytes.Buffer
	s := &story{w: &out}
	s.title(Options{Flavor: mysqltest.MySQL})
	s.now("under way")
	s.done(time.Second, "a step")
	s.move(time.Second, api.Switchover{From: "a", To: "b", PauseMS: 12.34, Phases: []api.Phase{{Name: "fence", MS: 1.2}}}, true)
	r := good()
	r.PromiseHeld = true
	s.result(r)
	text := out.String()
	for _, want := range []string{"MySQL", "ok  a step", "a -> b: writes waited 12.3 ms", "fence 1.2 ms", "12,345", "The promise held"} {
		if !strings.Contains(text, want) {
			t.Errorf("the story lacks %q:\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "under way") || strings.Contains(text, "!!") {
		t.Errorf("the story is not plain, or complains:\n%q", text)
	}
	for line := range strings.Lines(text) {
		if len(line) > 125 || strings.TrimRight(line, " \n")+"\n" != line {
			t.Errorf("too long, or with blanks at its end: %q", line)
		}
	}
}

func TestStoryMarksWhatIsBroken(t *testing.T) {
	var out bytes.Buffer
	r := good()
	r.Lost, r.Errors = 3, []string{"at 1.000 s, writer 1: gone"}
	(&story{w: &out}).result(r)
	for _, want := range []string{"!!  lost", "!!  at 1.000 s, writer 1: gone", "did NOT hold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story lacks %q:\n%s", want, out.String())
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) is %s, want %s", n, got, want)
		}
	}
}
