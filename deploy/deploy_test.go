// Package deploy has no code, only a test that keeps the examples in this directory equal to what the program expects.
package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/failover"
)

// linkFlag is what every build of the program must carry.
const linkFlag = "-X=runtime.godebugDefault=schedtrace=2147483647"

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func documents(t *testing.T, path string) []map[string]any {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(read(t, path)))
	var out []map[string]any
	for {
		var doc map[string]any
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, doc)
	}
}

// at walks through maps and lists: a string is a key, an int an index.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch step := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok || m[step] == nil {
				t.Fatalf("%v: there is no %v", path, p)
			}
			v = m[step]
		case int:
			l, ok := v.([]any)
			if !ok || len(l) <= step {
				t.Fatalf("%v: there is no %v", path, p)
			}
			v = l[step]
		}
	}
	return v
}

func TestComposeConfigurationLoads(t *testing.T) {
	cfg, err := conf.Load(filepath.Join("compose", "onewriter.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	services := at(t, documents(t, "compose.yaml")[0], "services")
	for _, s := range cfg.Clusters[0].Servers {
		host, _, _ := strings.Cut(s.Address, ":")
		at(t, services, host, "image")
	}
	ports := at(t, services, "onewriter", "ports").([]any)
	for _, l := range cfg.Clusters[0].Listeners {
		if !strings.Contains(string(dump(t, ports)), l.Address+l.Address) {
			t.Errorf("the port of %s is not published: %v", l.Address, ports)
		}
	}
	for _, name := range []string{"db-a", "db-b", "replicate", "onewriter"} {
		volumes := at(t, services, name, "volumes").([]any)
		for _, v := range volumes {
			host, _, _ := strings.Cut(v.(string), ":")
			if strings.HasPrefix(host, "./") {
				read(t, host)
			}
		}
	}
}

func dump(t *testing.T, v any) []byte {
	t.Helper()
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestComposeAccountsHaveTheGrants compares the pair's SQL with what `onewriter setup --print` shows.
func TestComposeAccountsHaveTheGrants(t *testing.T) {
	init := read(t, filepath.Join("compose", "init.sql"))
	for _, statement := range failover.SetupSQL("mariadb", "onewriter") {
		if strings.HasPrefix(statement, "GRANT") && !strings.Contains(init, statement+";") {
			t.Errorf("init.sql lacks: %s", statement)
		}
	}
	cfg, err := conf.Load(filepath.Join("compose", "onewriter.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Clusters[0].Control
	if !strings.Contains(init, "'"+c.User+"'@'%' IDENTIFIED BY '"+c.Password.Reveal()+"'") {
		t.Error("init.sql does not make the control account of onewriter.yaml")
	}
	if replicate := read(t, filepath.Join("compose", "replicate.sh")); !strings.Contains(replicate, "MASTER_PASSWORD='repl-secret'") || !strings.Contains(init, "'repl'@'%' IDENTIFIED BY 'repl-secret'") {
		t.Error("the replication account of init.sql is not the one of replicate.sh")
	}
}

func TestSidecarConfigurationIsGood(t *testing.T) {
	docs := documents(t, filepath.Join("kubernetes", "sidecar.yaml"))
	var config, pod any
	for _, d := range docs {
		switch d["kind"] {
		case "ConfigMap":
			config = at(t, d, "data", "onewriter.yaml")
		case "Deployment":
			pod = at(t, d, "spec", "template", "spec")
		}
	}
	dir := t.TempDir()
	text := config.(string)
	for _, secret := range []string{"control-password", "admin-token"} {
		if err := os.WriteFile(filepath.Join(dir, secret), []byte("0123456789abcdef"), 0o600); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "/etc/onewriter/secrets/"+secret, filepath.Join(dir, secret))
	}
	cfg, err := conf.Parse(conf.Source{Name: "sidecar.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	side := at(t, pod, "initContainers", 0)
	if at(t, side, "restartPolicy") != "Always" {
		t.Error("it is no native sidecar")
	}
	for probe, path := range map[string]string{"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"} {
		if got := at(t, side, probe, "httpGet", "path"); got != path {
			t.Errorf("%s asks %v", probe, got)
		}
	}
	if grace := at(t, pod, "terminationGracePeriodSeconds").(int); float64(grace) <= cfg.Shutdown.Grace.Seconds() {
		t.Errorf("the pod is killed after %d s, onewriter may take %s", grace, cfg.Shutdown.Grace)
	}
}

// TestBuildsCarryTheLinkFlag checks the runtime setting without which relaying costs twice the CPU.
func TestBuildsCarryTheLinkFlag(t *testing.T) {
	for _, path := range []string{"../Dockerfile", "../Makefile"} {
		if !bytes.Contains([]byte(read(t, path)), []byte(linkFlag)) {
			t.Errorf("%s builds without %s", path, linkFlag)
		}
	}
}

func TestUnitRunsWhatTheProgramHas(t *testing.T) {
	unit := read(t, filepath.Join("systemd", "onewriter.service"))
	for _, want := range []string{"onewriter config check /etc/onewriter/onewriter.yaml", "onewriter serve --config /etc/onewriter/onewriter.yaml", "StateDirectory=onewriter", "LimitCORE=0"} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
}
