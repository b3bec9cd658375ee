package detect

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/topology"
)

var update = flag.Bool("update", false, "write testdata/verdicts.txt anew")

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

const (
	ms = time.Millisecond

	mariadb111 = `error connecting to master 'repl@10.0.0.1:3306' - retry-time: 1  maximum-retries: 100000  message: Can't connect to server on '10.0.0.1' (111 "Connection refused")`
	mysql111   = `Error connecting to source 'repl@10.0.0.1:3306'. This was attempt 1/10, with a delay of 1 seconds between attempts. Message: Can't connect to MySQL server on '10.0.0.1:3306' (111)`
	timedOut   = `error connecting to master 'repl@10.0.0.1:3306' - retry-time: 1  maximum-retries: 100000  message: Can't connect to server on '10.0.0.1' (110 "Connection timed out")`
	greeting   = `error connecting to master 'repl@10.0.0.1:3306' - retry-time: 1  maximum-retries: 100000  message: Lost connection to server at 'handshake: reading initial communication packet', system error: 110`
	denied     = `error connecting to master 'repl@10.0.0.1:3306' - retry-time: 1  maximum-retries: 100000  message: Access denied for user 'repl'@'10.0.0.2' (using password: YES)`
	crowded    = `error connecting to master 'repl@10.0.0.1:3306' - retry-time: 1  maximum-retries: 100000  message: Too many connections`
)

// scene is a snapshot under construction: a is the primary, b and the others replicate from it. All is well.
type scene struct {
	at      time.Time
	servers []*topology.Observation
}

func newScene(names ...string) *scene {
	s := &scene{at: noon}
	for i, name := range names {
		o := &topology.Observation{
			Instance: topology.Instance{Name: name, Address: fmt.Sprintf("10.0.0.%d:3306", i+1)},
			At:       noon.Add(-100 * ms), FactsAt: noon.Add(-100 * ms), Latency: ms, Class: topology.ClassOK,
			Facts: topology.Facts{ServerID: uint32(10 * (i + 1)), ReadOnly: i > 0},
		}
		if i > 0 {
			o.ReceiveAge = 300 * ms
			o.Facts.Links = []topology.Link{{
				Source: "10.0.0.1:3306", SourceServerID: 10, IO: topology.ThreadYes, SQL: topology.ThreadYes,
				HeartbeatPeriod: time.Second, Retry: time.Second,
			}}
		}
		s.servers = append(s.servers, o)
	}
	return s
}

func (s *scene) server(name string) *topology.Observation {
	for _, o := range s.servers {
		if o.Instance.Name == name {
			return o
		}
	}
	panic("no server " + name)
}

// bad makes probes of a server fail: the first one ago, the last one at last.
func (s *scene) bad(name string, class topology.Class, probes int, ago, last time.Duration) {
	o := s.server(name)
	o.Class, o.BadProbes, o.BadSince, o.At = class, probes, noon.Add(-ago), noon.Add(-last)
	o.FactsAt = o.BadSince.Add(-250 * ms)
	o.Err = map[topology.Class]string{
		topology.ClassRefused: "connect: dial tcp 10.0.0.1:3306: connect: connection refused",
		topology.ClassReset:   "read: connection reset by peer",
		topology.ClassTimeout: "context deadline exceeded",
	}[class]
}

// killed is what probes see 150 ms after a kill -9 of a.
func (s *scene) killed() { s.bad("a", topology.ClassRefused, 3, 150*ms, 40*ms) }

// hung is what probes see 3 s after a stopped answering.
func (s *scene) hung() { s.bad("a", topology.ClassTimeout, 3, 3*time.Second, time.Second) }

// answers makes an alive server answer with err.
func (s *scene) answers(name string, class topology.Class, err string) {
	o := s.server(name)
	o.Class, o.Err = class, err
}

// receiver sets what a standby says of its receiver and when it received last.
func (s *scene) receiver(name string, io topology.ThreadState, errno int, text string, age time.Duration) {
	o := s.server(name)
	l := &o.Facts.Links[0]
	l.IO, l.IOErrno, l.IOError = io, errno, text
	o.ReceiveAge = age
	o.ReceivedAt = s.at.Add(-age)
	o.At, o.FactsAt = s.at.Add(-20*ms), s.at.Add(-20*ms)
}

// story is one situation with its verdict.
type story struct {
	name  string
	names string // the servers; "a b" when empty
	build func(*scene)
	want  Kind
	cause Kind // Unknown: as want
}

const (
	connecting = topology.ThreadConnecting
	yes        = topology.ThreadYes
	no         = topology.ThreadNo
)

var stories = []story{
	{name: "all is well", build: func(*scene) {}, want: Fine},
	{name: "not probed yet", build: func(s *scene) { *s.server("a") = topology.Observation{Instance: topology.Instance{Name: "a"}} }, want: Unknown},

	// kill -9
	{name: "killed, MariaDB", build: func(s *scene) { s.killed(); s.receiver("b", connecting, 2003, mariadb111, 200*ms) }, want: Down},
	{name: "killed, MySQL, connections reset", build: func(s *scene) {
		s.killed()
		s.answers("a", topology.ClassReset, "invalid connection")
		s.server("a").Lost = 12
		s.receiver("b", connecting, 2003, mysql111, 200*ms)
	}, want: Down},
	{name: "killed, one probe only", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 1, 20*ms, 20*ms)
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		s.server("b").FactsAt = noon.Add(-10 * ms)
	}, want: Suspect},
	{name: "killed, two probes too close", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 2, 60*ms, 30*ms)
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
	}, want: Suspect},
	{name: "killed, the standby not asked since", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		s.server("b").FactsAt = noon.Add(-160 * ms)
	}, want: Suspect},
	{name: "killed, the standby has not noticed", build: func(s *scene) { s.killed(); s.receiver("b", yes, 0, "", 200*ms) }, want: Suspect},
	{name: "killed an hour ago, nothing has changed since", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 9000, time.Hour, 40*ms)
		s.receiver("b", connecting, 2003, mariadb111, time.Hour)
	}, want: Down},
	{name: "killed, the receiver gave up after its last attempt", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 90, 20*time.Second, 40*ms)
		s.receiver("b", no, 2003, mysql111, 20*time.Second)
	}, want: Down},
	{name: "killed, the receiver was stopped long before", build: func(s *scene) {
		s.killed()
		s.receiver("b", no, 2003, mariadb111, time.Hour)
	}, want: Suspect},
	{name: "killed, the receiver was stopped and nobody saw it receive", build: func(s *scene) {
		s.killed()
		s.receiver("b", no, 2003, mariadb111, 200*ms)
		s.server("b").ReceivedAt = time.Time{}
	}, want: Suspect},
	{name: "killed, the standby's refusal may be old", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, time.Minute)
	}, want: Suspect},
	{name: "killed, the standby was refused before and has tried again", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 20, 3*time.Second, 40*ms)
		s.receiver("b", connecting, 2003, mariadb111, time.Minute)
	}, want: Down},
	{name: "killed, the applier has stopped", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		l := &s.server("b").Facts.Links[0]
		l.SQL, l.SQLErrno, l.SQLError = no, 1062, "Duplicate entry '1' for key 'PRIMARY'"
	}, want: NoCandidate, cause: Down},
	{name: "killed, the standby is delayed", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		s.server("b").Facts.Links[0].Delay = time.Hour
	}, want: NoCandidate, cause: Down},
	{name: "killed, no standby at all", names: "a", build: func(s *scene) { s.killed() }, want: Suspect},
	{name: "killed, the standby replicates from elsewhere", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		s.server("b").Facts.Links[0].SourceServerID = 77
	}, want: Suspect},
	{name: "killed before it was ever seen", build: func(s *scene) {
		s.killed()
		s.server("a").Facts, s.server("a").FactsAt = topology.Facts{}, time.Time{}
		s.receiver("b", connecting, 2003, mariadb111, 140*ms)
	}, want: Down},

	// SIGSTOP
	{name: "hangs", build: func(s *scene) { s.hung(); s.receiver("b", yes, 0, "", 3200*ms) }, want: Unreachable},
	{name: "hangs, MySQL receiver says why", build: func(s *scene) { s.hung(); s.receiver("b", connecting, 2013, greeting, 3200*ms) }, want: Unreachable},
	{name: "hangs for a short time: checkpoint stall", build: func(s *scene) {
		s.bad("a", topology.ClassTimeout, 1, 1500*ms, 1500*ms)
		s.receiver("b", yes, 0, "", 1700*ms)
	}, want: Suspect},
	{name: "hangs, the standby's heartbeats are due", build: func(s *scene) {
		s.bad("a", topology.ClassTimeout, 2, 2300*ms, time.Second)
		s.receiver("b", yes, 0, "", 2400*ms)
	}, want: Suspect},
	{name: "hangs, heartbeats come every 30 s only", build: func(s *scene) {
		s.hung()
		s.receiver("b", yes, 0, "", 3200*ms)
		s.server("b").Facts.Links[0].HeartbeatPeriod = 30 * time.Second
	}, want: Suspect},
	{name: "hangs, the period of heartbeats is not known", build: func(s *scene) {
		s.hung()
		s.receiver("b", yes, 0, "", 3200*ms)
		s.server("b").Facts.Links[0].HeartbeatPeriod = 0
	}, want: Suspect},
	{name: "hangs, clients still get answers", build: func(s *scene) {
		s.hung()
		s.receiver("b", yes, 0, "", 3200*ms)
		s.server("a").Replied = noon.Add(-200 * ms)
	}, want: Suspect},
	{name: "hangs, the applier does not run", build: func(s *scene) {
		s.hung()
		s.receiver("b", yes, 0, "", 3200*ms)
		s.server("b").Facts.Links[0].SQL = no
	}, want: NoCandidate, cause: Unreachable},

	// cut or rejected
	{name: "cut off from here", build: func(s *scene) { s.hung(); s.receiver("b", yes, 0, "", 400*ms) }, want: MyLink},
	{name: "rejected here only", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 30, 3*time.Second, 40*ms)
		s.receiver("b", yes, 0, "", 400*ms)
	}, want: MyLink},
	{name: "rejected here a moment ago", build: func(s *scene) { s.killed(); s.receiver("b", yes, 0, "", 30*ms) }, want: Suspect},
	{name: "isolated from all", build: func(s *scene) { s.hung(); s.receiver("b", connecting, 2003, timedOut, 3200*ms) }, want: Unreachable},
	{name: "its machine is up again, the server is not, the standby waits for the old connection", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 30, 3*time.Second, 40*ms)
		s.receiver("b", yes, 0, "", 3200*ms)
	}, want: Unreachable},
	{name: "the standby is cut off from it, we are not", build: func(s *scene) { s.receiver("b", connecting, 2003, timedOut, 20*time.Second) }, want: Fine},
	{name: "the standby was cut off long before", build: func(s *scene) {
		s.hung()
		s.receiver("b", connecting, 2003, timedOut, time.Hour)
		s.server("b").Facts.Links[0].Retry = time.Minute
	}, want: Suspect},
	{name: "cut off from here, the receiver has just been started", build: func(s *scene) {
		s.bad("a", topology.ClassTimeout, 6, 6*time.Second, time.Second)
		s.receiver("b", connecting, 0, "", 20*time.Second)
	}, want: Suspect},
	{name: "cut off from here, the receiver has just got a connection", build: func(s *scene) {
		s.bad("a", topology.ClassTimeout, 6, 6*time.Second, time.Second)
		s.receiver("b", yes, 0, "", 20*time.Second)
	}, want: Suspect},
	{name: "hangs, the receiver tries again", build: func(s *scene) { s.hung(); s.receiver("b", connecting, 0, "", 3200*ms) }, want: Unreachable},
	{name: "nothing is reached", build: func(s *scene) { s.hung(); s.bad("b", topology.ClassTimeout, 3, 3*time.Second, time.Second) }, want: Isolated},
	{name: "nothing is reached, a moment ago", build: func(s *scene) {
		s.bad("a", topology.ClassTimeout, 1, time.Second, time.Second)
		s.bad("b", topology.ClassTimeout, 1, time.Second, time.Second)
	}, want: Suspect},

	// alive
	{name: "1040", build: func(s *scene) { s.answers("a", topology.ClassTooMany, "Error 1040: Too many connections") }, want: Fine},
	{name: "1040 here and for the standby", build: func(s *scene) {
		s.answers("a", topology.ClassTooMany, "Error 1040: Too many connections")
		s.receiver("b", connecting, 1040, crowded, 20*time.Second)
	}, want: Fine},
	{name: "login refused after a restart", build: func(s *scene) {
		s.answers("a", topology.ClassAuth, "Error 1130: Host '10.0.0.9' is not allowed to connect")
		s.receiver("b", connecting, 2003, mariadb111, 600*ms)
	}, want: Fine},
	{name: "another error", build: func(s *scene) { s.answers("a", topology.ClassError, "Error 1205: Lock wait timeout exceeded") }, want: Fine},
	{name: "closed for writes", build: func(s *scene) { s.answers("a", topology.ClassReadOnly, ""); s.server("a").Facts.ReadOnly = true }, want: Fine},
	{name: "clean stop, MySQL, first", build: func(s *scene) {
		s.answers("a", topology.ClassShutdown, "Error 1053: Server shutdown in progress")
		s.receiver("b", yes, 0, "", 400*ms)
	}, want: Leaving},
	{name: "clean stop, MySQL, while it lives on", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 30, 2*time.Second, 40*ms)
		s.receiver("b", yes, 0, "", 1200*ms)
	}, want: MyLink},
	{name: "clean stop, MySQL, at its end", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 90, 8*time.Second, 40*ms)
		s.receiver("b", connecting, 2003, mysql111, 400*ms)
	}, want: Down},
	{name: "disk full", build: func(s *scene) {
		s.answers("a", topology.ClassWriteStuck, "heartbeat write: Error 1114: The table is full")
	}, want: WriteStuck},

	// the standby's receiver has troubles of its own
	{name: "bad replication password, we are cut off", build: func(s *scene) {
		s.hung()
		s.receiver("b", connecting, 1045, denied, time.Hour)
		s.server("b").Facts.Links[0].Retry = time.Minute
	}, want: Suspect},
	{name: "bad replication password, we are cut off for long", build: func(s *scene) {
		s.bad("a", topology.ClassTimeout, 30, 3*time.Second, 500*ms)
		s.receiver("b", connecting, 1045, denied, time.Hour)
	}, want: MyLink},
	{name: "bad replication password, killed", build: func(s *scene) { s.killed(); s.receiver("b", connecting, 1045, denied, time.Hour) }, want: Suspect},
	{name: "the source lacks the log the receiver asks for", build: func(s *scene) {
		s.hung()
		s.receiver("b", no, 1236, "Could not find first log file name in binary log index file", time.Hour)
	}, want: Suspect},
	{name: "the name of the source cannot be resolved", build: func(s *scene) {
		s.hung()
		s.receiver("b", connecting, 2005, "Unknown server host 'db1' (-2)", 3200*ms)
	}, want: Suspect},
	{name: "the standby is out of connections", build: func(s *scene) {
		s.hung()
		s.answers("b", topology.ClassTooMany, "Error 1040: Too many connections")
	}, want: MyLink},

	// several standbys
	{name: "killed, both standbys notice", names: "a b c", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		s.receiver("c", connecting, 2003, mariadb111, 200*ms)
	}, want: Down},
	{name: "killed, one has not noticed", names: "a b c", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		s.receiver("c", yes, 0, "", 200*ms)
	}, want: Suspect},
	{name: "killed, one is down as well", names: "a b c", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		s.bad("c", topology.ClassTimeout, 3, time.Hour, time.Second)
	}, want: Down},
	{name: "rejected here and for one standby", names: "a b c", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 30, 3*time.Second, 40*ms)
		s.receiver("b", connecting, 2003, mariadb111, 3200*ms)
		s.receiver("c", yes, 0, "", 300*ms)
	}, want: MyLink},
	{name: "killed, only one of two can take over", names: "a b c", build: func(s *scene) {
		s.killed()
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
		s.receiver("c", connecting, 2003, mariadb111, 200*ms)
		s.server("b").Facts.Links[0].SQL = no
	}, want: Down},

	// passive evidence
	{name: "killed under load, the last answer after the first bad probe began", build: func(s *scene) {
		s.killed()
		s.server("a").Replied, s.server("a").Lost = noon.Add(-145*ms), 40
		s.receiver("b", connecting, 2003, mariadb111, 200*ms)
	}, want: Down},
	{name: "new connections are refused, old ones work", build: func(s *scene) {
		s.bad("a", topology.ClassRefused, 30, 3*time.Second, 40*ms)
		s.receiver("b", connecting, 2003, mariadb111, 3200*ms)
		s.server("a").Replied = noon.Add(-5 * ms)
	}, want: Suspect},

	// split
	{name: "both are writable", build: func(s *scene) { s.server("b").Facts.ReadOnly = false }, want: Split},
	{name: "the role has just been moved", build: func(s *scene) {
		b := s.server("b")
		b.Facts.ReadOnly, b.FactsAt, b.WritableSince = false, noon, noon
	}, want: Fine},
	{name: "a fence is pending on the other", build: func(s *scene) {
		b := s.server("b")
		b.Facts.ReadOnly, b.Facts.SuperReadOnly = false, true
	}, want: Fine},
}

func (s story) judge() Verdict {
	names := strings.Fields(s.names)
	if len(names) == 0 {
		names = []string{"a", "b"}
	}
	sc := newScene(names...)
	s.build(sc)
	snap := &topology.Snapshot{Cluster: "c", At: sc.at}
	for _, o := range sc.servers {
		snap.Servers = append(snap.Servers, *o)
	}
	return Judge(snap, "a", Limits{})
}

func TestVerdicts(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			v := s.judge()
			cause := s.cause
			if cause == Unknown {
				cause = s.want
			}
			if v.Kind != s.want || v.Cause != cause || v.Primary != "a" || len(v.Evidence) == 0 {
				t.Errorf("%s (cause %s), want %s (%s)\n%s", v.Kind, v.Cause, s.want, cause, strings.Join(v.Evidence, "\n"))
			}
			quiet := []Kind{Unknown, Fine, Leaving, WriteStuck, Split}
			if v.Since.IsZero() != slices.Contains(quiet, v.Kind) {
				t.Errorf("%s since %s", v.Kind, v.Since)
			}
		})
	}
}

// TestEvidenceReads compares all evidence with testdata/verdicts.txt, which is there to be read by people.
func TestEvidenceReads(t *testing.T) {
	var b strings.Builder
	for _, s := range stories {
		v := s.judge()
		fmt.Fprintf(&b, "# %s\n%s", s.name, v.Kind)
		if v.Cause != v.Kind {
			fmt.Fprintf(&b, " (%s)", v.Cause)
		}
		fmt.Fprintf(&b, "\n  %s\n\n", strings.Join(v.Evidence, "\n  "))
	}
	file := filepath.Join("testdata", "verdicts.txt")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, was := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i, line := range got {
		if i >= len(was) || was[i] != line {
			t.Fatalf("line %d is %q; run with -update and read what changes", i+1, line)
		}
	}
	if len(was) != len(got) {
		t.Error("testdata/verdicts.txt has more lines; run with -update and read what changes")
	}
}

func TestJudgeNothing(t *testing.T) {
	for _, name := range []string{"", "z"} {
		if v := Judge(nil, name, Limits{}); v.Kind != Unknown || v.Cause != Unknown || len(v.Evidence) != 1 {
			t.Errorf("primary %q: %+v", name, v)
		}
	}
}

// TestNoStandbyNoPromotion strips the standbys' testimony from every situation: without it nothing may be confirmed.
func TestNoStandbyNoPromotion(t *testing.T) {
	for _, s := range stories {
		build := s.build
		s.build = func(sc *scene) {
			build(sc)
			for _, o := range sc.servers[1:] {
				o.Class, o.Err = topology.ClassAuth, "Error 1045: Access denied"
				o.FactsAt = time.Time{} // what was said a moment ago counts
			}
		}
		if v := s.judge(); slices.Contains([]Kind{Down, Unreachable, NoCandidate, MyLink}, v.Kind) {
			t.Errorf("%s: %s", s.name, v.Kind)
		}
	}
}

func TestSystemErrors(t *testing.T) {
	tests := map[string]sign{
		mariadb111: signRefused, mysql111: signRefused, timedOut: signLost,
		"Can't connect to MySQL server on 'h:3306' (113)":                          signLost,
		"error connecting to master 'x(111)@h:3306' - message: it (13 \"denied\")": signOther,
		"error reconnecting to master 'x(111)@h:3306' - retry-time: 1  retries: 8": signLost, // MySQL 5.6
		"no number": signOther, "(99999999999)": signOther, "": signOther,
	}
	for text, want := range tests {
		if got := readSystemError(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestKindWords(t *testing.T) {
	for k := Unknown; k <= Split; k++ {
		if text, err := k.MarshalText(); err != nil || string(text) != k.String() || k > 0 && k.String() == Unknown.String() {
			t.Errorf("%d: %s %v", k, text, err)
		}
	}
	if Kind(99).String() != "UNKNOWN" {
		t.Error("a value out of range must be UNKNOWN")
	}
}
