package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Doctor examines the servers of one cluster.
type Doctor struct {
	cfg    Config
	limits limits
	busy   chan struct{} // held during an examination, so that there is one at a time

	mu       sync.Mutex // guards what follows
	last     Report
	blocking []Finding // what blocks, with what was found earlier and could not be looked at since
	marks    map[string]mark
	starts   map[string]start
	deepAt   time.Time
	deep     []Finding            // of the last look through the tables
	returned map[string]time.Time // see Returned; until they have been looked at again
}

// limits are thresholds that tests change.
type limits struct {
	transaction time.Duration // how long a transaction may be open
	diskFree    float64       // the part of a disk that should be free
	roundTrip   time.Duration // how long a heartbeat row may take to a standby
	selfTest    time.Duration // how long the self-test waits
	roleDelay   time.Duration // how long after a change of the primary Run looks again
}

var defaultLimits = limits{transaction: 2 * time.Minute, diskFree: 0.05, roundTrip: 10 * time.Second, selfTest: 5 * time.Second, roleDelay: 5 * time.Second}

// New prepares a doctor; it connects to nothing before Run, Check or SelfTest. The error says what in c is wrong.
func New(c Config) (*Doctor, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("doctor of cluster %s: %w", c.Cluster, err)
	}
	return &Doctor{
		cfg: c, limits: defaultLimits, busy: make(chan struct{}, 1), marks: map[string]mark{}, starts: map[string]start{},
		last: Report{Cluster: c.Cluster}, returned: map[string]time.Time{},
	}, nil
}

// Last is the newest report; its At is zero before the first examination has ended.
func (d *Doctor) Last() Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// Blocking gives a sentence for each finding that keeps a failover from happening without an operator. A finding stays
// until a later examination could look again and did not find it: a primary that has died takes none away. It does not
// block itself, and is empty before the first examination.
func (d *Doctor) Blocking() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]string, 0, len(d.blocking))
	for _, f := range d.blocking {
		out = append(out, f.sentence())
	}
	return out
}

// Returned tells that a server has just been taken back into the cluster. What was found on it before is of a time that is
// over and blocks nothing any more; Run looks again within a second.
func (d *Doctor) Returned(server string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.returned[server] = time.Now()
	d.blocking = slices.DeleteFunc(slices.Clone(d.blocking), func(f Finding) bool { return f.Server == server })
}

// lookAgain reports whether a server was taken back since the last examination began.
func (d *Doctor) lookAgain() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.returned) > 0
}

// Run examines at start, every Config.Every, soon after the primary has changed or a server was taken back, and more often while something
// blocks.
// After a change of the primary it makes the self-test as well, now that the row goes the other way, and logs what does
// not work. It returns nil when ctx is done.
func (d *Doctor) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	epoch, changed := d.cfg.Primary().Epoch, false
	d.examine(ctx, true)
	next := time.Now().Add(d.every())
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if e := d.cfg.Primary().Epoch; e != epoch {
				epoch, changed, next = e, true, now.Add(d.limits.roleDelay)
			}
			if now.Before(next) && !d.lookAgain() {
				continue
			}
			d.examine(ctx, now.Sub(d.deepTime()) >= deepEvery)
			if changed {
				changed = false
				d.logSelfTest(ctx)
			}
			next = time.Now().Add(d.every())
		}
	}
}

// logSelfTest makes the self-test if there is a published primary.
func (d *Doctor) logSelfTest(ctx context.Context) {
	if !d.cfg.Primary().Instance.Known() {
		return
	}
	t := d.SelfTest(ctx)
	if ctx.Err() != nil {
		return
	}
	event := d.cfg.Logger.Info()
	if !t.OK {
		event = d.cfg.Logger.Warn()
	}
	event.Str("primary", t.Primary).Bool("ok", t.OK).Strs("problems", t.Problems).Dur("took", t.Took).
		Msg("replication self-test")
}

func (d *Doctor) every() time.Duration {
	if len(d.Blocking()) > 0 {
		return min(blockedEvery, d.cfg.Every)
	}
	return d.cfg.Every
}

func (d *Doctor) deepTime() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.deepAt
}

// Check examines now, with a look through the tables. It takes as long as the slowest server, at most 15 s.
func (d *Doctor) Check(ctx context.Context) Report { return d.examine(ctx, true) }

// examine makes one examination and keeps its outcome. It is made again when the primary changed meanwhile: what was seen
// then is of neither time.
func (d *Doctor) examine(ctx context.Context, deep bool) Report {
	select {
	case d.busy <- struct{}{}:
		defer func() { <-d.busy }()
	case <-ctx.Done():
		return Report{Cluster: d.cfg.Cluster, At: time.Now(), Checks: len(checks), Failed: []string{"Nothing was checked: " + context.Cause(ctx).Error() + "."}}
	}
	x := d.examination(ctx, deep)
	for tries := 0; tries < 2 && x.moved() && ctx.Err() == nil; tries++ {
		x = d.examination(ctx, deep)
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return x.report() // what was not seen because we end is no news
	}
	return d.keep(x)
}

// keep stores the outcome of x.
func (d *Doctor) keep(x *examination) Report {
	r := x.report()
	d.mu.Lock()
	blocked := d.blocking
	d.mu.Unlock()
	blocking := x.blocking(blocked) // which asks for the last deep findings, and so must not be called with the lock
	d.mu.Lock()
	before := d.last
	d.last, d.blocking = r, slices.DeleteFunc(blocking, func(f Finding) bool { return d.returned[f.Server].After(x.at) })
	for server, at := range d.returned {
		if x.at.After(at) {
			delete(d.returned, server)
		}
	}
	if x.deep {
		d.deepAt, d.deep = x.at, x.deepFindings()
	}
	d.mu.Unlock()
	d.logChanges(before, r)
	return r
}

// logChanges tells which findings have come and gone.
func (d *Doctor) logChanges(before, now Report) {
	for _, f := range now.Findings {
		if f.Severity > Info && !slices.ContainsFunc(before.Findings, f.same) {
			d.cfg.Logger.Warn().Str("code", f.Code).Str("severity", f.Severity.String()).
				Str("server", f.Server).Bool("blocks", f.Blocks).Str("summary", f.Summary).Msg("doctor finding")
		}
	}
	for _, f := range before.Findings {
		if f.Severity > Info && !slices.ContainsFunc(now.Findings, f.same) {
			d.cfg.Logger.Info().Str("code", f.Code).Str("server", f.Server).Msg("doctor finding gone")
		}
	}
}

// same reports whether f and g are the same finding, seen at two times.
func (f Finding) same(g Finding) bool { return f.Code == g.Code && f.Server == g.Server }

// primaryOf names the primary: the published one, else the only writable server.
func primaryOf(published topology.Primary, servers []*server) string {
	if published.Instance.Known() {
		return published.Instance.Name
	}
	name := ""
	for _, s := range servers {
		if s.err != nil || !s.facts.Writable() {
			continue
		}
		if name != "" {
			return ""
		}
		name = s.name()
	}
	return name
}
