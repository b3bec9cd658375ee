package conf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFailoverDefaults(t *testing.T) {
	cfg, err := parse(t, small, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Clusters[0]
	f := c.Failover
	if f.MaxDataLoss != 0 || f.MaxUnreceivedWindow != 10*time.Second || f.RequireFence || f.Cooldown != 30*time.Second || f.MaxPerHour != 2 ||
		f.Rejoin != RejoinAutomatic || !f.RejoinOwnRows {
		t.Errorf("failover = %+v", f)
	}
	if c.Detection != (Detection{HangTimeout: 2 * time.Second, ReceiveSilence: 2500 * time.Millisecond}) {
		t.Errorf("detection = %+v", c.Detection)
	}
	if len(c.Fencing.Command) != 0 || c.Fencing.CommandTimeout != 10*time.Second || c.Fencing.Watchdog || c.Fencing.WatchdogTTL != 5*time.Second {
		t.Errorf("fencing = %+v", c.Fencing)
	}
	if c.Doctor.Interval != 5*time.Minute || len(c.Doctor.Ignore) != 0 || c.Servers[0].Priority != 0 || c.Servers[0].NeverPrimary {
		t.Errorf("doctor = %+v, server = %+v", c.Doctor, c.Servers[0])
	}
}

func TestFailoverKeys(t *testing.T) {
	text := strings.Replace(small, "address: \"127.0.0.1:3306\"", "address: \"127.0.0.1:3306\", priority: -2, never_primary: false", 1) + `
    failover: {mode: automatic, max_data_loss: 3, max_unreceived_window: 1s, require_fence: true, cooldown: 0s, max_per_hour: 0, rejoin: manual, rejoin_own_rows: false}
    fencing: {command: [/bin/true, "--server", "${PW}"], command_timeout: 3s, watchdog: true, watchdog_ttl: 7s}
    detection: {hang_timeout: 3s, receive_silence: 4s}
    doctor: {interval: 1m, ignore: [CLOCK_DRIFT]}
`
	cfg, err := parse(t, text, map[string]string{"PW": "x", "ONEWRITER_CLUSTERS_0_FENCING_COMMAND_1": "--host"})
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Clusters[0]
	want := Failover{
		Mode: FailoverAutomatic, MaxDataLoss: 3, MaxUnreceivedWindow: time.Second, RequireFence: true, Rejoin: RejoinManual,
		MaxLag: 2 * time.Second, ThrottleTimeout: 8 * time.Second, DrainTimeout: 2 * time.Second, FenceTimeout: 2 * time.Second, CatchupTimeout: 5 * time.Second,
	}
	if c.Failover != want {
		t.Errorf("failover = %+v", c.Failover)
	}
	if !slices.Equal(c.Fencing.Command, []string{"/bin/true", "--host", "x"}) || c.Fencing.CommandTimeout != 3*time.Second || !c.Fencing.Watchdog || c.Fencing.WatchdogTTL != 7*time.Second {
		t.Errorf("fencing = %+v", c.Fencing)
	}
	if !slices.Equal(c.Doctor.Ignore, []string{"CLOCK_DRIFT"}) || c.Servers[0].Priority != -2 {
		t.Errorf("doctor = %+v, server = %+v", c.Doctor, c.Servers[0])
	}
	out, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := parse(t, string(out), nil); err != nil || !slices.Equal(again.Clusters[0].Fencing.Command, c.Fencing.Command) {
		t.Errorf("what is printed does not load: %v\n%s", err, out)
	}
}

func TestBadFailoverKeys(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nobody may lead":   {strings.Replace(small, "{name: a,", "{name: a, never_primary: true,", 1), "all have never_primary"},
		"no such program":   {small + "    fencing: {command: [/nowhere/stonith]}\n", "clusters[0].fencing.command: "},
		"no program in dir": {small + "    fencing: {command: [./stonith]}\n", "clusters[0].fencing.command: "},
		"command is text":   {small + "    fencing: {command: stonith}\n", "clusters[0].fencing.command: is not a list"},
		"no code":           {small + "    doctor: {ignore: [clock drift]}\n", `clusters[0].doctor.ignore[0]: "clock drift" is no code`},
		"silence too short": {small + "    detection: {receive_silence: 1s}\n", "is not between 1.5s"},
		"rejoin":            {small + "    failover: {rejoin: never}\n", `"never" is not allowed`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.text, nil)
			var list *Error
			if !errors.As(err, &list) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestFailoverWarnings(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no heartbeat": {small + "    failover: {mode: automatic}\n    health: {heartbeat: false}\n", "what an automatic failover may lose"},
		"one server":   {small + "    failover: {mode: automatic}\n", "there is one server only"},
		"short hang":   {small + "    detection: {hang_timeout: 500ms}\n", "shorter than one probe"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := parse(t, c.text, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(cfg.Warnings, func(p Problem) bool { return strings.Contains(p.String(), c.want) }) {
				t.Errorf("warnings = %v", cfg.Warnings)
			}
		})
	}
}

func TestFencingCommandIsRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stonith"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse(Source{Name: "t", Data: []byte(small + "    fencing: {command: [./stonith, off]}\n"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Clusters[0].Fencing.Command; !slices.Equal(got, []string{filepath.Join(dir, "stonith"), "off"}) {
		t.Errorf("command = %q", got)
	}
}
