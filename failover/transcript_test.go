package failover

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata with what the machine does now")

// TestTranscripts plays each file of testdata through the machine. Lines that begin with "<" are inputs, everything
// indented below them is what the machine answered; comments and blank lines stay. Run with -update to rewrite.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(raw))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(raw), got); diff != "" {
				t.Errorf("transcript differs (-file +machine):\n%s", diff)
			}
		})
	}
}

// play feeds the inputs of a transcript to a fresh machine and returns the transcript with its answers.
func play(t *testing.T, text string) string {
	t.Helper()
	s := state{cluster: "c", limits: DefaultLimits()}
	var out strings.Builder
	for n, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "  "):
			continue
		case line == "fresh":
			s = state{cluster: "c", limits: DefaultLimits()}
		case strings.HasPrefix(line, "fresh automatic"):
			s = state{cluster: "c", limits: DefaultLimits(), policy: automatic(), haveReplication: true}
		case line == "fresh with replication account":
			s = state{cluster: "c", limits: DefaultLimits(), haveReplication: true}
		case strings.HasPrefix(line, "< "):
			in, err := parseInput(s, strings.TrimPrefix(line, "< "))
			if err != nil {
				t.Fatalf("line %d: %v\n%s", n+1, err, out.String())
			}
			out.WriteString(line + "\n")
			out.WriteString(answer(&s, in))
			continue
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

func answer(s *state, in input) string {
	before := describeState(*s)
	next, actions := step(*s, in)
	*s = next
	var out strings.Builder
	for _, a := range actions {
		out.WriteString("    > " + describe(a) + "\n")
	}
	if after := describeState(next); after != before {
		out.WriteString("    = " + after + "\n")
	}
	return out.String()
}

// parseInput reads one input line. "ok", "failed", "unknown" and "denied" report the end of the step in progress.
func parseInput(s state, line string) (input, error) {
	word, rest, _ := strings.Cut(line, " ")
	var current stepName
	if s.plan != nil {
		current = s.plan.step()
	}
	switch word {
	case "boot":
		return inBoot{}, nil
	case "tick":
		return inTick{Now: s.now}, nil
	case "wait":
		d, err := time.ParseDuration(rest)
		return inTick{Now: s.now.Add(d)}, err
	case "failover", "rejoin":
		return parseOrder(s, word, strings.Fields(rest)), nil
	case "weighed":
		return parseWeighed(s, current, rest)
	case "detached":
		return inDone{Step: current, Gone: coord.Departure{Promoted: "0-1-9", Received: "a.000001:900", Binlog: "b.000001:700"}}, nil
	case "peeked":
		return inDone{Step: current, SemiSync: rest == "semisync"}, nil
	case "judged":
		verdict, rest, _ := strings.Cut(rest, " ")
		in := inDone{Step: current, Judged: judged{Verdict: verdict, OwnOnly: rest == "own"}}
		if verdict != verdictClean {
			in.Judged.Reasons = []string{"It has transactions that the primary does not have."}
		}
		return in, nil
	case "stop":
		return inStop{}, nil
	case "request":
		f := strings.Fields(rest)
		in := inRequest{ID: f[0]}
		for _, opt := range f[1:] {
			in.Req.DryRun = in.Req.DryRun || opt == "dry"
			if v, ok := strings.CutPrefix(opt, "to="); ok {
				in.Req.To = v
			}
		}
		return in, nil
	case "sights":
		return parseSights(s, rest), nil
	case "ok", "failed", "unknown", "denied":
		in := inDone{Step: current, Outcome: map[string]stepOutcome{"ok": outcomeOK, "failed": outcomeFailed, "unknown": outcomeUnknown, "denied": outcomeDenied}[word]}
		if rest != "" {
			in.Reasons = []string{rest}
		}
		return in, nil
	case "stored":
		return parseStored(current, rest)
	case "inspected":
		v, err := parseView(rest)
		return inDone{Step: current, View: v}, err
	default:
		return nil, fmt.Errorf("unknown input %q", word)
	}
}

// automatic is a policy that lets the machine act by itself.
func automatic() Policy {
	p := DefaultPolicy()
	p.Mode = ModeAutomatic
	return p
}

// parseOrder reads "failover f1 to=b force dry" and "rejoin r1 server=a method=rewind dry".
func parseOrder(s state, word string, f []string) input {
	fo := inFailover{ID: f[0], Now: s.now, Req: FailoverRequest{By: "test"}}
	rj := inRejoin{ID: f[0], Now: s.now, Req: RejoinRequest{By: "test"}}
	for _, opt := range f[1:] {
		key, value, _ := strings.Cut(opt, "=")
		switch key {
		case "to":
			fo.Req.To = value
		case "force":
			fo.Req.Force = true
		case "dry":
			fo.Req.DryRun, rj.Req.DryRun = true, true
		case "server":
			rj.Req.Server = value
		case "method":
			rj.Req.Method = value
		}
	}
	if word == "failover" {
		return fo
	}
	return rj
}

// parseWeighed reads "3 200ms fenced-by-death"; a window of "?" is not known.
func parseWeighed(s state, current stepName, rest string) (input, error) {
	f := strings.Fields(rest)
	if s.plan == nil {
		return nil, errors.New("nothing is going on: " + describeState(s))
	}
	n, err := strconv.ParseUint(f[0], 10, 64)
	in := inDone{Step: current, Gone: coord.Departure{Server: s.plan.op.From.Name, AtLeast: n, WindowMS: -1, Fence: f[2]}}
	if f[1] != "?" {
		var d time.Duration
		d, err = time.ParseDuration(f[1])
		in.Gone.WindowMS = d.Milliseconds()
	}
	return in, err
}

var verdictWords = map[string]detect.Kind{
	"fine": detect.Fine, "suspect": detect.Suspect, "dead": detect.Down, "gone": detect.Unreachable, "mylink": detect.MyLink,
	"isolated": detect.Isolated, "leaving": detect.Leaving, "nocandidate": detect.NoCandidate,
}

// parseSights reads "a=rw b=ro,follows c=down dead objects +3s": the last words are the verdict on the primary, a
// finding of the doctor, and the time that has passed.
func parseSights(s state, rest string) input {
	in := inSights{Now: s.now}
	for _, f := range strings.Fields(rest) {
		name, what, isServer := strings.Cut(f, "=")
		if !isServer {
			switch kind, ok := verdictWords[f]; {
			case ok:
				in.Verdict = detect.Verdict{Kind: kind, Cause: kind, Primary: s.subject().Name, Evidence: []string{"Evidence for " + f + "."}}
			case f == "objects":
				in.Findings = []string{"b filters schemas."}
			default:
				d, err := time.ParseDuration(strings.TrimPrefix(f, "+"))
				if err != nil {
					panic(err)
				}
				in.Now = in.Now.Add(d)
			}
			continue
		}
		flag, extra, _ := strings.Cut(what, ",")
		x := sight{Name: name, OK: true, Replicates: strings.Contains(extra, "follows"), CaughtUp: strings.Contains(extra, "follows") && !strings.Contains(extra, "behind")}
		x.GaveUp, x.Stopped = strings.Contains(extra, "gave-up"), strings.Contains(extra, "stopped")
		switch flag {
		case "rw":
			x.Writable = true
		case "down":
			x.OK, x.Why = false, "refused"
		case "half":
			x.HalfSet = true
		}
		in.Sights = append(in.Sights, x)
	}
	return in
}

func parseStored(current stepName, rest string) (input, error) {
	in := inDone{Step: current}
	if rest == "nothing" {
		return in, nil
	}
	in.Found = true
	in.Stored.Cluster = "c"
	for _, f := range strings.Fields(rest) {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "epoch":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return nil, err
			}
			in.Stored.Epoch = topology.Epoch(n)
		case "primary":
			in.Stored.Primary = instance(value)
		case "to":
			in.Stored.Phase, in.Stored.Target = coord.PhaseSwitching, value
		case "failing":
			in.Stored.Phase, in.Stored.Target = coord.PhaseFailingOver, value
		case "without":
			in.Stored.Away = append(in.Stored.Away, coord.Departure{Server: value, Why: "failover", Epoch: in.Stored.Epoch})
		case "circular":
			in.Stored.Away[len(in.Stored.Away)-1].Circular = true
		case "semisync":
			in.Stored.SemiSync = true
		}
	}
	return in, nil
}

func instance(name string) topology.Instance {
	return topology.Instance{Name: name, Address: name + ":3306"}
}

// parseView reads "a rw at=0-1-5 from=b row=2:a | b ro at=0-1-5 from=a lag=3s io=No delay=1h semisync xa=1 | c down".
func parseView(text string) (view, error) {
	var v view
	for i, part := range strings.Split(text, "|") {
		f := strings.Fields(part)
		s := serverView{Instance: instance(f[0])}
		s.Facts.ServerID = uint32(i + 1)
		s.Facts.Flavor = "mariadb"
		if f[1] == "down" {
			s.Err = "connection refused"
			v = append(v, s)
			continue
		}
		s.Facts.ReadOnly = f[1] == "ro"
		s.Facts.SuperReadOnly = f[1] == "half"
		if err := parseServer(&s, f[2:]); err != nil {
			return nil, err
		}
		v = append(v, s)
	}
	for i := range v {
		for j := range v[i].Facts.Links {
			if src, ok := v.find(v[i].Facts.Links[j].Source); ok {
				v[i].Facts.Links[j].SourceServerID = src.Facts.ServerID
			}
		}
	}
	return v, nil
}

func parseServer(s *serverView, fields []string) (err error) {
	link := topology.Link{IO: topology.ThreadYes, SQL: topology.ThreadYes, UsesGTID: true}
	s.Drained = true
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "at":
			s.Facts.Position, err = gtid.ParseMariaDB(value)
		case "mysql":
			s.Facts.Flavor = "mysql"
			s.Facts.Position, err = gtid.ParseMySQL(value)
		case "file":
			s.Facts.Position, err = gtid.ParseFile(value)
			s.Binlog = s.Facts.Position
		case "from":
			link.Source = value
		case "applied":
			link.UsesGTID = false
			link.AppliedFile, err = gtid.ParseFile(value)
		case "stopped":
			link.IO, link.SQL = topology.ThreadNo, topology.ThreadNo
		case "undrained":
			s.Drained = false
		case "got":
			link.ReceivedFile, err = gtid.ParseFile(value)
		case "lacks":
			s.AtLeast, err = strconv.ParseUint(value, 10, 64)
		case "replica":
			s.SemiSyncReplica = true
		case "io":
			link.IO, link.IOErrno, link.IOError = topology.ThreadNo, 2003, "error connecting to source"
		case "sql":
			link.SQL, link.SQLErrno, link.SQLError = topology.ThreadNo, 1062, "duplicate entry"
		case "delay":
			link.Delay, err = time.ParseDuration(value)
		case "lag":
			s.Lag, err = time.ParseDuration(value)
		case "semisync":
			s.SemiSyncSource = true
		case "acks":
			s.Acknowledgers, err = strconv.Atoi(value)
		case "xa":
			s.PreparedXA, err = strconv.Atoi(value)
		case "ddl":
			s.DDL = []string{"Connection 17 of root runs a schema change since 40 s: ALTER TABLE t."}
		case "row":
			epoch, name, _ := strings.Cut(value, ":")
			var n uint64
			n, err = strconv.ParseUint(epoch, 10, 64)
			s.Row = epochRow{Epoch: topology.Epoch(n), Name: name, ServerID: uint32(name[0]-'a') + 1}
		default:
			err = fmt.Errorf("unknown field %q", f)
		}
		if err != nil {
			return err
		}
	}
	if link.Source != "" {
		s.Facts.Links = []topology.Link{link}
	}
	return nil
}
