package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// SelfTest is the outcome of the replication self-test.
type SelfTest struct {
	Cluster string        `json:"cluster"`
	At      time.Time     `json:"at"`
	Took    time.Duration `json:"took_ns"`
	Primary string        `json:"primary"` // "" when there is none
	OK      bool          `json:"ok"`
	Legs    []Leg         `json:"legs"`
	// Problems are sentences about what is wrong; empty when OK.
	Problems []string `json:"problems"`
}

// Leg is one direction of replication.
type Leg struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Reverse: it leads from a standby to the primary. Nothing is written for it: its threads, its place in the
	// standby's binary log and its heartbeats prove it.
	Reverse bool `json:"reverse"`
	OK      bool `json:"ok"`
	// RoundTrip is the time from the begin of the write on From until the row was seen on To; 0 on a reverse leg.
	RoundTrip time.Duration `json:"round_trip_ns"`
	// Drift is how far the clock of To is ahead of that of From.
	Drift time.Duration `json:"drift_ns"`
	// Evidence is what was seen.
	Evidence []string `json:"evidence"`
}

// selfTestRow is the row of onewriter.heartbeat that the self-test writes. No server has the id 0, so it is nobody's
// heartbeat.
const selfTestRow = 0

// SelfTest writes a row on the primary and waits until every standby has it. It writes nothing anywhere else. It takes
// about 5 s for a leg that does not work.
func (d *Doctor) SelfTest(ctx context.Context) SelfTest {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	x := d.visit(ctx, false)
	defer x.close()
	t := &SelfTest{Cluster: d.cfg.Cluster, At: x.at, Legs: []Leg{}, Problems: x.failures()}
	p, err := x.thePrimary()
	if err == nil {
		t.Primary = p.name()
		t.forward(ctx, x, p)
		t.backward(ctx, x, p)
	}
	t.OK = err == nil && len(t.Problems) == 0
	t.Took = time.Since(t.At)
	return *t
}

func (t *SelfTest) problem(format string, args ...any) {
	t.Problems = append(t.Problems, fmt.Sprintf(format, args...))
}

// forward tests the way from the primary to each standby.
func (t *SelfTest) forward(ctx context.Context, x *examination, p *server) {
	begun := time.Now()
	if err := writeTestRow(ctx, p, begun); err != nil {
		t.problem("The row could not be written on the primary %s: %s.", p.name(), trimmed(err))
		return
	}
	var mu sync.Mutex
	x.together(func(s *server) {
		if s == p {
			return
		}
		took, err := awaitTestRow(ctx, s, begun, x.d.limits.selfTest)
		mu.Lock()
		defer mu.Unlock()
		leg := Leg{From: p.name(), To: s.name(), OK: err == nil, RoundTrip: took, Drift: s.drift - p.drift, Evidence: s.threads()}
		t.Legs = append(t.Legs, leg)
		if err != nil {
			t.problem("The row did not arrive on %s: %s.", s.name(), trimmed(err))
		}
		if leg.Drift.Abs() > driftLimit+s.doubt+p.doubt {
			t.problem("The clock of %s differs from that of %s by %s.", s.name(), p.name(), leg.Drift.Round(time.Millisecond))
		}
	})
	slices.SortFunc(t.Legs, func(a, b Leg) int { return strings.Compare(a.To, b.To) })
}

// writeTestRow writes on the primary only when it is open: the control account could write on a closed one as well.
func writeTestRow(ctx context.Context, p *server, at time.Time) error {
	readOnly, super, err := p.dialect.ReadOnly(ctx, p.q)
	if err != nil {
		return err
	}
	if readOnly || super {
		return errors.New("it is closed for writes")
	}
	_, err = p.q.ExecContext(ctx, `INSERT INTO `+flavor.Schema+`.heartbeat (server_id, ts, writer, beat)
VALUES (?, UTC_TIMESTAMP(6), 'self-test', ?) ON DUPLICATE KEY UPDATE ts = VALUES(ts), writer = VALUES(writer), beat = VALUES(beat)`,
		selfTestRow, at.UnixMicro())
	return err
}

// awaitTestRow waits until s has the row of that moment, or a later one.
func awaitTestRow(ctx context.Context, s *server, at time.Time, limit time.Duration) (time.Duration, error) {
	for {
		seen, err := readBeat(ctx, s, selfTestRow)
		if err != nil && number(err) != errNoSuchTable {
			return 0, err
		}
		if took := time.Since(at); err == nil && seen.UnixMicro() >= at.UnixMicro() {
			return took, nil
		} else if took > limit {
			return 0, fmt.Errorf("not within %s", limit)
		}
		if err := pause.For(ctx, 5*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// threads describes the links of s.
func (s *server) threads() (out []string) {
	for _, l := range s.facts.Links {
		out = append(out, linkEvidence(l)...)
	}
	return out
}

// backward proves the links from standbys to the primary without writing for them.
func (t *SelfTest) backward(ctx context.Context, x *examination, p *server) {
	for _, l := range p.facts.Links {
		s, ok := x.byID(l.SourceServerID)
		if !ok {
			continue
		}
		leg := Leg{From: s.name(), To: p.name(), Reverse: true, Drift: p.drift - s.drift}
		var err error
		leg.Evidence, err = awaitReverse(ctx, p, s, x.d.limits.selfTest)
		leg.OK = err == nil
		if err != nil {
			t.problem("The link from %s to the primary %s does not work: %s.", s.name(), p.name(), trimmed(err))
		}
		t.Legs = append(t.Legs, leg)
	}
}

// awaitReverse waits until both threads of the link of p from s run and it has received all that s had when asked, or at
// least a heartbeat.
func awaitReverse(ctx context.Context, p, s *server, limit time.Duration) (evidence []string, err error) {
	place, err := s.dialect.BinlogPosition(ctx, s.q)
	if err != nil {
		return nil, fmt.Errorf("read the place in the binary log of %s: %w", s.name(), err)
	}
	begun := time.Now()
	var first topology.Link
	for n := 0; ; n++ {
		facts, err := p.dialect.Observe(ctx, p.q)
		if err != nil {
			return evidence, err
		}
		l, ok := linkOf(facts.Links, s.facts.ServerID)
		if n == 0 {
			first = l
		}
		evidence = append(linkEvidence(l), fmt.Sprintf("received up to %s, %s is at %s", l.ReceivedFile, s.name(), place),
			fmt.Sprintf("%d heartbeats received", l.Heartbeats))
		if ok && l.Running() && (l.ReceivedFile.Contains(place) || l.Heartbeats > first.Heartbeats) {
			return evidence, nil
		}
		if time.Since(begun) > limit {
			return evidence, fmt.Errorf("receiver %s, applier %s, received up to %s of %s, no heartbeat for %s", l.IO, l.SQL, l.ReceivedFile, place, limit)
		}
		if err := pause.For(ctx, 100*time.Millisecond); err != nil {
			return evidence, err
		}
	}
}

func linkOf(links []topology.Link, id uint32) (topology.Link, bool) {
	for _, l := range links {
		if l.SourceServerID == id {
			return l, true
		}
	}
	return topology.Link{}, false
}
