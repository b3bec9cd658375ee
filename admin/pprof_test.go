package admin

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

func TestProfilesOnlyWhenConfigured(t *testing.T) {
	for path, want := range map[string]string{
		"/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile:", "/debug/pprof/cmdline": "admin.test",
	} {
		off := newServer(t, "", &cluster{name: "orders", status: running()}, nil)
		if w := ask(off, "GET", path, ""); w.Code != 404 {
			t.Errorf("%s is served though it is not configured: %d", path, w.Code)
		}
		on, err := New(Config{Address: "127.0.0.1:0", Token: "secret-token", Pprof: true, Registry: prometheus.NewRegistry(), Logger: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		if w := ask(on, "GET", path, ""); w.Code != 401 {
			t.Errorf("%s is served without the token: %d", path, w.Code)
		}
		if w := ask(on, "GET", path, "", "Authorization", "Bearer secret-token"); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %.200s", path, w.Code, w.Body)
		}
	}
}
