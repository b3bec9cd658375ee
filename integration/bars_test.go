package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// The tests of this file measure what docs/failover.md promises and repeat each injury many times. They take long and
// run by `make bars`; what is wrong with data fails them, what is slow is printed.

// rounds is how often an injury is repeated, ONEWRITER_BARS; a test that is not asked for is skipped.
func rounds(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("ONEWRITER_BARS"))
	if err != nil || n < 1 {
		t.Skip("a long measurement: make bars")
	}
	return n
}

// automaticFailover is a configuration without limits, so that injuries can follow each other.
const automaticFailover = "    failover: {mode: automatic, cooldown: 0s, max_per_hour: 0, max_data_loss: 1000000}\n    doctor: {ignore: [START_WRITABLE]}\n"

// patient is a pair behind onewriter with a load, to be injured.
type patient struct {
	t    *testing.T
	pair *mysqltest.Pair
	o    *onewriter
	ids  map[string]uint32
}

func newPatient(t *testing.T, opts mysqltest.PairOptions, extra string) *patient {
	t.Helper()
	pair, o := startPair(t, opts, extra)
	p := &patient{t: t, pair: pair, o: o, ids: map[string]uint32{}}
	for i, s := range pair.Servers {
		p.ids[string(rune('a'+i))] = serverID(t, s)
	}
	p.o.eventually(20*time.Second, "a heartbeat arrives at the standby", func() error { // what is lost without it cannot be told
		var n int
		err := pair.Servers[1].DB().QueryRow("SELECT COUNT(*) FROM onewriter.heartbeat").Scan(&n)
		if err == nil && n == 0 {
			err = errors.New("no row")
		}
		return err
	})
	return p
}

func (p *patient) server(name string) *mysqltest.Server { return p.pair.Servers[name[0]-'a'] }

// healthy waits until the cluster runs and nobody is away.
func (p *patient) healthy(limit time.Duration) clusterStatus {
	p.t.Helper()
	var st clusterStatus
	p.o.eventually(limit, "the cluster is healthy", func() error {
		if st = p.o.status(); st.State != "running" {
			return fmt.Errorf("state %s %q", st.State, st.Reasons)
		}
		return nil
	})
	return st
}

// movedFrom waits until another server than name is primary.
func (p *patient) movedFrom(name string, limit time.Duration) {
	p.t.Helper()
	p.o.eventually(limit, "the role moves from "+name, func() error {
		if st := p.o.status(); st.Primary == name || st.Primary == "" {
			return fmt.Errorf("state %s, primary %q, %q", st.State, st.Primary, st.Reasons)
		}
		return nil
	})
}

func (p *patient) restart(name string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if err := p.server(name).RestartWith(ctx, map[string]string{"read-only": "1"}); err != nil {
		p.t.Fatal(err)
	}
}

// firstAck is how long after the moment the first write was acknowledged that had begun after it.
func firstAck(l *load, after time.Time) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	best, found := time.Duration(0), false
	for _, a := range l.acks {
		if d := a.told.Sub(after); d > 5*time.Millisecond && (!found || d < best) {
			best, found = d, true
		}
	}
	return best, found
}

// pauseAfter is the longest time without an acknowledgement that began around the moment.
func pauseAfter(l *load, at time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return longestPause(l.acks, at.Add(-500*time.Millisecond), at.Add(20*time.Second))
}

func report(t *testing.T, what string, list []time.Duration) {
	slices.Sort(list)
	t.Logf("BAR %s: median %s, longest %s, n=%d", what, list[len(list)/2].Round(time.Millisecond), list[len(list)-1].Round(time.Millisecond), len(list))
}

func eachFlavor(t *testing.T, run func(t *testing.T, f mysqltest.Flavor)) {
	for _, f := range []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL} {
		t.Run(f.String(), func(t *testing.T) { run(t, f) })
	}
}

// kill -9 of the primary, again and again, quiet and under load.
func TestBarKill(t *testing.T) {
	n := rounds(t)
	eachFlavor(t, func(t *testing.T, f mysqltest.Flavor) {
		p := newPatient(t, mysqltest.PairOptions{Flavor: f}, automaticFailover)
		for _, c := range []struct {
			name    string
			writers int
			pace    time.Duration
		}{{"quiet", 1, 5 * time.Millisecond}, {"under load", 8, 0}} {
			var first []time.Duration
			for range n {
				from := p.healthy(time.Minute).Primary
				l := startPaced(t, p.o.primary, c.writers, c.pace)
				time.Sleep(time.Second)
				at := time.Now()
				p.server(from).Kill9()
				p.movedFrom(from, 20*time.Second)
				time.Sleep(500 * time.Millisecond)
				l.end()
				first = append(first, pauseAfter(l, at))
				p.restart(from)
				p.cure()
			}
			report(t, fmt.Sprintf("kill -9 %s, %s: longest pause between acknowledged writes", c.name, f), first)
		}
	})
}

// cure brings back whoever is away, whatever that takes: what only it has is undone.
func (p *patient) cure() {
	p.t.Helper()
	p.o.eventually(time.Minute, "everybody is back", func() error {
		st := p.o.status()
		if st.State == "running" {
			return nil
		}
		for _, a := range st.Away {
			if a.Verdict == "diverged" {
				r := p.o.rejoin(a.Server, `{"method": "rewind"}`)
				if r.Status != http.StatusOK {
					return fmt.Errorf("rewind: %+v", r)
				}
			}
		}
		return fmt.Errorf("state %s %q", st.State, st.Reasons)
	})
}

// rejoined is the answer to a rejoin.
type rejoined struct {
	Server, Verdict, Outcome, Undone string
	Errant                           []struct {
		GTID   string
		Tables map[string]int
	}
	Reasons []string
	Status  int `json:"-"`
}

func (o *onewriter) rejoin(server, body string) rejoined {
	o.t.Helper()
	resp, err := http.Post("http://"+o.admin+"/api/v1/clusters/test/servers/"+server+"/rejoin", "application/json", strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var r rejoined
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		o.t.Fatalf("rejoin answered %d: %v", resp.StatusCode, err)
	}
	r.Status = resp.StatusCode
	return r
}

// A hung primary: the role moves, and what it does when it wakes up reaches nobody.
func TestBarHang(t *testing.T) {
	n := rounds(t)
	eachFlavor(t, func(t *testing.T, f mysqltest.Flavor) {
		p := newPatient(t, mysqltest.PairOptions{Flavor: f}, automaticFailover)
		var pauses []time.Duration
		for range n {
			from := p.healthy(time.Minute).Primary
			l := startLoad(t, p.o.primary, 4)
			time.Sleep(time.Second)
			at := time.Now()
			p.server(from).Pause()
			p.movedFrom(from, 20*time.Second)
			time.Sleep(time.Second)
			p.server(from).Continue()
			p.cure()
			acks, _ := l.end()
			pauses = append(pauses, pauseAfter(l, at))
			p.o.caughtUp(p.pair)
			verify(t, p.pair, acks, []reign{{server: p.ids[from], from: time.Time{}, to: at}})
		}
		report(t, "SIGSTOP, "+f.String()+": longest pause between acknowledged writes", pauses)
	})
}

// lost lists the acknowledged rows that the server called name does not have.
func (p *patient) lost(name string, acks []ack) []int64 {
	p.t.Helper()
	rows := rowsOn(p.t, p.server(name))
	var out []int64
	for _, a := range acks {
		if _, ok := rows[a.id]; !ok {
			out = append(out, a.id)
		}
	}
	return out
}

// onlyOn lists the rows that a has and b has not.
func (p *patient) onlyOn(a, b string) []int64 {
	p.t.Helper()
	mine, theirs := rowsOn(p.t, p.server(a)), rowsOn(p.t, p.server(b))
	var out []int64
	for id := range mine {
		if _, ok := theirs[id]; !ok {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// Under semi-sync a kill loses nothing that was acknowledged.
func TestBarSemiSync(t *testing.T) {
	n := rounds(t)
	eachFlavor(t, func(t *testing.T, f mysqltest.Flavor) {
		p := newPatient(t, mysqltest.PairOptions{Flavor: f, SemiSync: true}, automaticFailover)
		total, lost := 0, 0
		for i := range n {
			from := p.healthy(time.Minute).Primary
			l := startLoad(t, p.o.primary, 8)
			time.Sleep(time.Duration(500+i*13%300) * time.Millisecond)
			p.server(from).Kill9()
			p.movedFrom(from, 20*time.Second)
			acks, _ := l.end()
			to := p.o.status().Primary
			gone := p.lost(to, acks)
			total, lost = total+len(acks), lost+len(gone)
			if len(gone) > 0 {
				t.Errorf("round %d: %d acknowledged rows are lost: %v", i, len(gone), gone)
			}
			p.restart(from)
			p.cure()
		}
		t.Logf("BAR semi-sync kill -9 x %d, %s: %d of %d acknowledged rows lost", n, f, lost, total)
	})
}

// Without semi-sync what a kill loses is exactly what the report says when the old primary is back, and it is kept.
func TestBarAsync(t *testing.T) {
	n := rounds(t)
	eachFlavor(t, func(t *testing.T, f mysqltest.Flavor) {
		p := newPatient(t, mysqltest.PairOptions{Flavor: f}, strings.Replace(automaticFailover, "{mode", "{rejoin: manual, mode", 1))
		lossy, rows, acked := 0, 0, 0
		for i := range n {
			from := p.healthy(time.Minute).Primary
			l := startLoad(t, p.o.primary, 8)
			time.Sleep(time.Duration(500+i*17%300) * time.Millisecond)
			p.server(from).Kill9()
			p.movedFrom(from, 20*time.Second)
			acks, _ := l.end()
			to := p.o.status().Primary
			gone := p.lost(to, acks)
			p.restart(from)
			p.o.eventually(time.Minute, from+" is judged", func() error {
				if st := p.o.status(); len(st.Away) == 0 || st.Away[0].Verdict == "" {
					return fmt.Errorf("%+v", st.Away)
				}
				return nil
			})
			only := p.onlyOn(from, to)
			r := p.o.rejoin(from, `{"dry_run": true}`)
			reported := 0
			for _, e := range r.Errant {
				reported += e.Tables["app.writes"]
			}
			if reported != len(only) {
				t.Errorf("round %d: %d rows are only on %s, %d are reported", i, len(only), from, reported)
			}
			for _, id := range gone {
				if !slices.Contains(only, id) {
					t.Errorf("round %d: acknowledged row %d is nowhere", i, id)
				}
			}
			if len(only) > 0 {
				lossy++
			}
			rows, acked = rows+reported, acked+len(acks)
			if r.Verdict == "diverged" {
				done := p.o.rejoin(from, `{"method": "rewind"}`)
				if done.Status != http.StatusOK {
					t.Fatalf("round %d: rewind: %+v", i, done)
				}
				kept, err := os.ReadFile(done.Undone)
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range only {
					if !strings.Contains(string(kept), strconv.FormatInt(id, 10)) {
						t.Errorf("round %d: row %d is not in %s", i, id, done.Undone)
					}
				}
			} else if done := p.o.rejoin(from, `{}`); done.Status != http.StatusOK {
				t.Fatalf("round %d: rejoin: %+v", i, done)
			}
			p.healthy(time.Minute)
		}
		t.Logf("BAR async kill -9 x %d, %s: %d rounds lost something, %d rows in all of %d acknowledged, all reported and kept", n, f, lossy, rows, acked)
	})
}
