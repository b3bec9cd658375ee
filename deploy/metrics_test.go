package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v3"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/proxy"
)

// catalogue is a registry that only notes what is registered: names with their labels.
type catalogue map[string][]string

// described finds name and labels in how a Desc prints itself.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)",.*constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)

func (c catalogue) note(d *prometheus.Desc) {
	m := described.FindStringSubmatch(d.String())
	if m == nil {
		panic("a Desc prints itself in another way: " + d.String())
	}
	labels := []string{}
	for _, l := range strings.Split(m[2]+","+m[3], ",") {
		if name, _, _ := strings.Cut(l, "="); name != "" {
			labels = append(labels, name)
		}
	}
	c[m[1]] = labels
}

// Register implements prometheus.Registerer.
func (c catalogue) Register(from prometheus.Collector) error {
	ch := make(chan *prometheus.Desc)
	go func() { defer close(ch); from.Describe(ch) }()
	for d := range ch {
		c.note(d)
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (c catalogue) MustRegister(all ...prometheus.Collector) {
	for _, from := range all {
		_ = c.Register(from)
	}
}

// Unregister implements prometheus.Registerer.
func (c catalogue) Unregister(prometheus.Collector) bool { return false }

// quiet is a cluster with one of everything, so that each metric of the admin endpoint has a value.
type quiet struct{ admin.Cluster }

func (quiet) Name() string { return "test" }

func (quiet) Status() api.Cluster {
	lag := 0.5
	return api.Cluster{
		Name: "test", Servers: []api.Server{{Name: "a", LagSeconds: &lag}}, Listeners: []api.Listener{{Address: ":3306", Route: "primary"}},
	}
}

func (quiet) Findings() api.Doctor { return api.Doctor{} }

// catalogueOfAll is what the program exports.
func catalogueOfAll(t *testing.T) catalogue {
	t.Helper()
	c := catalogue{}
	proxy.NewMetrics(c, "test")
	c.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	registry := prometheus.NewRegistry()
	if _, err := admin.New(admin.Config{Address: "127.0.0.1:0", Clusters: []admin.Cluster{quiet{}}, Registry: registry, Logger: zerolog.Nop()}); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(c[f.GetName()], l.GetName()) {
					c[f.GetName()] = append(c[f.GetName()], l.GetName())
				}
			}
		}
	}
	// Those that the program makes itself.
	files, err := filepath.Glob(filepath.Join("..", "cmd", "onewriter", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, m := range regexp.MustCompile(`"(onewriter_[a-z_]+)", "[^"]*", \[\]string\{([^}]*)\}`).FindAllStringSubmatch(read(t, file), -1) {
			c[m[1]] = strings.Split(strings.ReplaceAll(m[2], `"`, ""), ", ")
		}
	}
	return c
}

var (
	metricName = regexp.MustCompile(`\b(onewriter|process|go)_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`\b((?:onewriter|process|go)_[a-z0-9_]+)\{([^}]*)\}`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	template   = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// check finds what an expression names that does not exist, and returns the labels that its result can have.
func (c catalogue) check(t *testing.T, where, expr string) (labels []string) {
	t.Helper()
	labels = []string{"instance", "job"}
	for _, name := range metricName.FindAllString(expr, -1) {
		known, ok := c[name]
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if base, found := strings.CutSuffix(name, suffix); found && !ok {
				known, ok = c[base]
			}
		}
		if !ok {
			t.Errorf("%s: there is no metric %s", where, name)
		}
		labels = append(labels, known...)
	}
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		for _, pair := range strings.Split(m[2], ",") {
			if label := strings.TrimRight(strings.SplitN(pair, "=", 2)[0], "!"); label != "" && !slices.Contains(labels, label) {
				t.Errorf("%s: %s has no label %s", where, m[1], label)
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		kept := []string{}
		for _, label := range strings.Split(m[1], ", ") {
			if label != "le" && !slices.Contains(labels, label) {
				t.Errorf("%s: nothing has a label %s in %s", where, label, expr)
			}
			kept = append(kept, label)
		}
		labels = kept
	}
	return labels
}

func (c catalogue) checkTemplates(t *testing.T, where, text string, labels []string) {
	t.Helper()
	for _, m := range template.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(labels, m[1]) {
			t.Errorf("%s: %q needs the label %s, there are %v", where, text, m[1], labels)
		}
	}
}

func TestAlertsNameWhatExists(t *testing.T) {
	c := catalogueOfAll(t)
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join("prometheus", "alerts.yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			n++
			labels := c.check(t, r.Alert, r.Expr)
			if r.Annotations["summary"] == "" || r.Annotations["what_to_do"] == "" {
				t.Errorf("%s does not say what is wrong and what to do", r.Alert)
			}
			for _, text := range r.Annotations {
				c.checkTemplates(t, r.Alert, text, labels)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d alerts were found", n)
	}
}

func TestDashboardNamesWhatExists(t *testing.T) {
	c := catalogueOfAll(t)
	data, err := os.ReadFile(filepath.Join("grafana", "onewriter.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			n++
			c.checkTemplates(t, p.Title, target.LegendFormat, c.check(t, p.Title, target.Expr))
		}
	}
	if n < 10 {
		t.Errorf("%d queries were found", n)
	}
}

// TestCatalogueKnowsTheProgram keeps the two tests above from passing because nothing is known or everything is.
func TestCatalogueKnowsTheProgram(t *testing.T) {
	c := catalogueOfAll(t)
	for name, label := range map[string]string{
		"onewriter_commands_total": "command", "onewriter_session_moves_total": "outcome", "onewriter_failovers_total": "fence",
		"onewriter_replication_lag_seconds": "server", "onewriter_verdict": "verdict", "onewriter_certificate_unusable": "file",
	} {
		if !slices.Contains(c[name], label) {
			t.Errorf("%s has the labels %v, not %s", name, c[name], label)
		}
	}
}
