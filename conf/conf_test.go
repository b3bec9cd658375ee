package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const small = `
clusters:
  - name: orders
    servers:
      - {name: a, address: "127.0.0.1:3306"}
    listeners:
      - {address: ":6446", route: primary}
    control: {user: onewriter, password: geheim-xyz}
`

func environ(vars map[string]string) (list []string) {
	for name, value := range vars {
		list = append(list, name+"="+value)
	}
	return list
}

func parse(t *testing.T, text string, vars map[string]string) (*Config, error) {
	t.Helper()
	return Parse(Source{Name: "test.yaml", Data: []byte(text), Dir: t.TempDir(), Environ: environ(vars)})
}

func TestSmallestFileGetsDefaults(t *testing.T) {
	cfg, err := parse(t, small, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Clusters[0]
	if c.Health.Interval != 250*time.Millisecond || c.Health.Timeout != time.Second || !c.Health.Heartbeat {
		t.Errorf("health = %+v", c.Health)
	}
	l := c.Listeners[0]
	if l.MaxConnections != 2000 || c.Limits.HandshakeTimeout != 10*time.Second || c.Limits.HoldTimeout != 10*time.Second || l.TLS.Mode != TLSPreferred {
		t.Errorf("listener = %+v", l)
	}
	f := c.Failover
	if f.Mode != FailoverManual || f.DrainTimeout != 2*time.Second || f.FenceTimeout != 2*time.Second ||
		f.CatchupTimeout != 5*time.Second || f.ThrottleTimeout != 8*time.Second {
		t.Errorf("failover = %+v", f)
	}
	if cfg.Admin.Address != "127.0.0.1:8989" || cfg.Log.Format != "json" || cfg.Shutdown.Grace != 10*time.Second || cfg.StateDir == "" {
		t.Errorf("config = %+v", cfg)
	}
	if c.Control.Password.Reveal() != "geheim-xyz" || c.Coordination.Mode != "standalone" {
		t.Errorf("cluster = %+v", c)
	}
}

func TestBadFiles(t *testing.T) {
	with := func(old, replacement string) string { return strings.Replace(small, old, replacement, 1) }
	for name, c := range map[string]struct {
		text string
		want []string // each must be in the message
	}{
		"empty":              {"", []string{"clusters: is missing: add it"}},
		"no yaml":            {"clusters: [", []string{"1 problem"}},
		"two documents":      {small + "---\n" + small, []string{"more than one YAML document"}},
		"typo on top":        {small + "amdin: {}\n", []string{"amdin: is not a known key, line 9: did you mean admin?"}},
		"typo deep":          {with("route: primary", "rout: primary"), []string{"clusters[0].listeners[0].rout: is not a known key, line 7: did you mean route?", "listeners[0].route: is missing"}},
		"twice":              {small + "log: {level: info}\nlog: {level: warn}\n", []string{"log"}},
		"no unit":            {small + "shutdown: {grace: 5}\n", []string{`shutdown.grace: "5" is not a duration, line 9: add a unit, for example 5s or 5ms`}},
		"nonsense duration":  {small + "shutdown: {grace: soon}\n", []string{"write a number and a unit"}},
		"below the minimum":  {small + "    health: {interval: 5ns}\n", []string{"clusters[0].health.interval: 5ns is not between 20ms and 1m0s, line 9"}},
		"no number":          {with(`route: primary`, `route: primary, max_connections: many`), []string{`max_connections: "many" is not a whole number`}},
		"number too small":   {with(`route: primary`, `route: primary, max_connections: 0`), []string{"0 is not between 1 and 1000000"}},
		"no bool":            {small + "    health: {heartbeat: maybe}\n", []string{"neither true nor false"}},
		"unknown route":      {with("route: primary", "route: primery"), []string{`clusters[0].listeners[0].route: "primery" is not allowed, line 7: did you mean primary?`}},
		"split":              {with("route: primary", "route: split"), []string{"is not in this version, line 7"}},
		"coordination":       {small + "    coordination: {mode: etcd}\n", []string{`coordination.mode: "etcd" is not allowed, line 9: write one of standalone`}},
		"lag on primary":     {with("route: primary", "route: primary, max_replication_lag: 1s"), []string{"max_replication_lag: has no meaning with route: primary"}},
		"group for value":    {with("name: orders", "name: [orders]"), []string{"clusters[0].name: is a list or group, line 3"}},
		"value for group":    {small + "log: loud\n", []string{"log: is not a group of keys, line 9"}},
		"value for list":     {with("servers:\n      - {name: a, address: \"127.0.0.1:3306\"}", "servers: a"), []string{"clusters[0].servers: is not a list"}},
		"empty list":         {"clusters: []\n", []string{"clusters: is empty"}},
		"no control":         {with("    control: {user: onewriter, password: geheim-xyz}\n", ""), []string{"clusters[0].control: is missing"}},
		"no control user":    {with("user: onewriter, ", ""), []string{"clusters[0].control.user: is missing"}},
		"no password":        {with(", password: geheim-xyz", ""), []string{"clusters[0].control.password: is missing", "password_file"}},
		"no port":            {with("127.0.0.1:3306", "10.0.0.1"), []string{"write host:port, for example 10.0.0.1:3306"}},
		"bad port":           {with("127.0.0.1:3306", "10.0.0.1:99999"), []string{`"99999" is no port`}},
		"no host":            {with("127.0.0.1:3306", ":3306"), []string{"names no host or port"}},
		"bad name":           {with("name: orders", "name: a b"), []string{`"a b" cannot be a name`}},
		"open admin":         {small + "admin: {address: \"0.0.0.0:8989\"}\n", []string{"admin.address", "there is no token"}},
		"admin on listener":  {small + "admin: {address: \"127.0.0.1:6446\"}\n", []string{"collides with"}},
		"half a certificate": {with("route: primary", "route: primary, tls: {cert_file: x.pem}"), []string{"x.pem", "has only one of cert_file and key_file"}},
		"variable":           {with("geheim-xyz", `"${NOWHERE}"`), []string{"the environment variable NOWHERE is not set, line 8"}},
		"open brace":         {with("geheim-xyz", "\"${NOWHERE\""), []string{"${ has no closing brace"}},
		"missing file":       {with("password: geheim-xyz", "password_file: not-there"), []string{"clusters[0].control.password_file", "not-there"}},
		"same names": {with(`- {name: a, address: "127.0.0.1:3306"}`, "- {name: a, address: \"127.0.0.1:3306\"}\n      - {name: a, address: \"127.0.0.1:3306\"}"),
			[]string{`servers[1].name: "a" is also the name of clusters[0].servers[0]`, "servers[1].address: 127.0.0.1:3306 is also the address of clusters[0].servers[0]"}},
		"same listener": {with(`- {address: ":6446", route: primary}`, "- {address: \":6446\", route: primary}\n      - {address: \"127.0.0.1:6446\", route: standby}"),
			[]string{"listeners[1].address: 127.0.0.1:6446 collides with clusters[0].listeners[0].address, line 8"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.text, nil)
			if err == nil {
				t.Fatal("no error")
			}
			var list *Error
			if !errors.As(err, &list) || len(list.Problems) == 0 {
				t.Fatalf("%T %v is no list of problems", err, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the message shows a secret: %v", err)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := parse(t, "clusters:\n  - nam: x\n    servers: [{name: a, address: nowhere}]\n    listeners: [{address: \":1\", route: all}]\n    control: {}\nlog: {level: loud}\n", nil)
	var list *Error
	if !errors.As(err, &list) {
		t.Fatal(err)
	}
	if len(list.Problems) != 6 {
		t.Errorf("%d problems:\n%v", len(list.Problems), err)
	}
}

func TestEnvironmentOverrides(t *testing.T) {
	vars := map[string]string{
		"ONEWRITER_ADMIN_ADDRESS": "127.0.0.1:9000", "ONEWRITER_CLUSTERS_0_CONTROL_USER": "boss", "ONEWRITER_LOG_LEVEL": "debug",
		"ONEWRITER_CLUSTERS_0_LISTENERS_0_ADDRESS": ":7000", "ONEWRITER_CLUSTERS_0_HEALTH_INTERVAL": "1s", "PW": "a$b",
	}
	cfg, err := parse(t, strings.Replace(small, "geheim-xyz", `"x$$${PW}$y"`, 1), vars)
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Clusters[0]
	if cfg.Admin.Address != "127.0.0.1:9000" || c.Control.User != "boss" || cfg.Log.Level != "debug" || c.Listeners[0].Address != ":7000" || c.Health.Interval != time.Second {
		t.Errorf("config = %+v", cfg)
	}
	if got := c.Control.Password.Reveal(); got != "x$a$b$y" {
		t.Errorf("password = %q", got)
	}
	_, err = parse(t, small, map[string]string{"ONEWRITER_CLUSTERS_0_HEALTH_INTERVAL": "1"})
	if err == nil || !strings.Contains(err.Error(), "from the environment variable ONEWRITER_CLUSTERS_0_HEALTH_INTERVAL") {
		t.Errorf("err = %v", err)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte("from-file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(small, "password: geheim-xyz", "password_file: pw", 1)
	path := filepath.Join(dir, "onewriter.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Clusters[0].Control.Password.Reveal(); got != "from-file" {
		t.Errorf("password = %q", got)
	}
	if len(cfg.Warnings) != 1 || !strings.Contains(cfg.Warnings[0].String(), "chmod 600") {
		t.Errorf("warnings = %v", cfg.Warnings)
	}
	both := strings.Replace(small, "password: geheim-xyz", "password: x, password_file: pw", 1)
	if _, err := Parse(Source{Name: "t", Data: []byte(both), Dir: dir}); err == nil || !strings.Contains(err.Error(), "remove one of the two") {
		t.Errorf("err = %v", err)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	text := small + "    users: [{name: u, password: geheim-user}]\nadmin: {token: geheim-token-with-length}\n"
	cfg, err := parse(t, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for how, shown := range map[string]string{"yaml": string(out), "%v": fmt.Sprintf("%v", cfg), "%+v": fmt.Sprintf("%+v", cfg), "%#v": fmt.Sprintf("%#v", cfg), "redacted": string(cfg.Redact().Admin.Token.Reveal())} {
		if strings.Contains(shown, "geheim") {
			t.Errorf("%s shows a secret:\n%s", how, shown)
		}
	}
	if cfg.Admin.Token.Reveal() == "***" {
		t.Error("Redact changed the original")
	}
	if !strings.Contains(string(out), "interval: 250ms") {
		t.Errorf("defaults are not shown:\n%s", out)
	}
}

// TestPrintedConfigurationLoads checks that what `config print` shows is a valid file.
func TestPrintedConfigurationLoads(t *testing.T) {
	text := strings.Replace(small, "route: primary}", "route: primary}\n      - {address: ':6447', route: standby}", 1)
	cfg, err := parse(t, text+"state_dir: /tmp\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse(t, string(out), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if twice, err := again.YAML(); err != nil || string(twice) != string(out) {
		t.Errorf("it changed, %v:\n%s\n%s", err, out, twice)
	}
}

func TestExampleLoads(t *testing.T) {
	data, err := os.ReadFile("onewriter.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse(Source{Name: "onewriter.example.yaml", Data: data, Environ: []string{"ONEWRITER_CONTROL_PASSWORD=x"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Clusters) != 1 || len(cfg.Clusters[0].Listeners) != 2 || len(cfg.Warnings) != 0 {
		t.Errorf("config = %+v", cfg)
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	want, err := Reference()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is not what `onewriter config reference` prints; run `bin/onewriter config reference > docs/configuration.md`")
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	docs, err := fieldDocs()
	if err != nil {
		t.Fatal(err)
	}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for _, f := range fieldsOf(typ) {
			if docs[typ.Name()+"."+f.name] == "" {
				t.Errorf("%s.%s has no comment", typ.Name(), f.name)
			}
			switch f.typ.Kind() {
			case reflect.Struct:
				visit(f.typ)
			case reflect.Slice:
				if f.typ.Elem().Kind() == reflect.Struct {
					visit(f.typ.Elem())
				}
			}
		}
	}
	visit(reflect.TypeFor[Config]())
}

func TestEnvName(t *testing.T) {
	for path, want := range map[string]string{
		"admin.address": "ONEWRITER_ADMIN_ADDRESS", "clusters[0].listeners[12].route": "ONEWRITER_CLUSTERS_0_LISTENERS_12_ROUTE",
	} {
		if got := EnvName(path); got != want {
			t.Errorf("EnvName(%q) = %q, want %q", path, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("a: &x [1]\nb: *x\n<<: *x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse(Source{Name: "fuzz", Data: data})
		if (cfg == nil) == (err == nil) {
			t.Errorf("config %v and error %v", cfg, err)
		}
	})
}

func TestTLSContradictions(t *testing.T) {
	dir := t.TempDir()
	pem := filepath.Join(dir, "x.pem")
	if err := os.WriteFile(pem, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := func(text string) string { return small + "    server_tls: " + text + "\n" }
	listener := func(text string) string {
		return strings.Replace(small, "route: primary", "route: primary, tls: "+text, 1)
	}
	for text, want := range map[string]string{
		server("{fingerprints: [AB]}"):                                                                `server_tls.fingerprints[0]: "AB" is no SHA-256 fingerprint`,
		server("{mode: off, ca_file: " + pem + "}"):                                                   "server_tls.ca_file: has no meaning with mode: off",
		server("{key_file: " + pem + "}"):                                                             "has only one of cert_file and key_file",
		listener("{client_certificate: optional}"):                                                    "set client_ca_file",
		listener("{client_ca_file: " + pem + "}"):                                                     "tls.mode: is preferred",
		listener("{mode: off, client_ca_file: " + pem + "}"):                                          "tls.client_ca_file: has no meaning with mode: off",
		listener("{mode: required, client_ca_file: " + pem + "}"):                                     "",
		listener("{client_certificate: optional, client_ca_file: " + pem + "}"):                       "",
		server("{mode: preferred, fingerprints: [\"" + strings.Repeat("AB:", 31) + "cd\"]}"):          "",
		server("{mode: verify, ca_file: " + pem + ", cert_file: " + pem + ", key_file: " + pem + "}"): "",
	} {
		_, err := Parse(Source{Name: "x.yaml", Data: []byte(text)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\ngot  %v\nwant %q", text, err, want)
		}
	}
	cfg, err := Parse(Source{Name: "x.yaml", Data: []byte(listener("{mode: required, client_ca_file: " + pem + "}"))})
	if err != nil || cfg.Clusters[0].Listeners[0].TLS.ClientCertificate != ClientCertificateRequired {
		t.Errorf("the default is not required: %v", err)
	}
}
