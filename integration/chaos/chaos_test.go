package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// setups are the clusters that schedules run on.
var setups = []setup{
	{name: "mariadb-gtid", opts: mysqltest.PairOptions{Flavor: mysqltest.MariaDB}},
	{name: "mariadb-semisync", opts: mysqltest.PairOptions{Flavor: mysqltest.MariaDB, SemiSync: true}},
	{name: "mariadb-filepos", opts: mysqltest.PairOptions{Flavor: mysqltest.MariaDB, FilePos: true}},
	{name: "mysql-gtid", opts: mysqltest.PairOptions{Flavor: mysqltest.MySQL}},
	{name: "mysql-semisync", opts: mysqltest.PairOptions{Flavor: mysqltest.MySQL, SemiSync: true}},
	{name: "mysql-filepos", opts: mysqltest.PairOptions{Flavor: mysqltest.MySQL, FilePos: true}},
	{name: "mariadb-star", long: true, opts: mysqltest.PairOptions{Flavor: mysqltest.MariaDB, Standbys: 2}},
	{name: "mysql-star", long: true, opts: mysqltest.PairOptions{Flavor: mysqltest.MySQL, Standbys: 2}},
	{name: "mariadb-watchdog", long: true, extra: withWatchdog, opts: mysqltest.PairOptions{Flavor: mysqltest.MariaDB, Config: scheduler}},
	{name: "mysql-watchdog", long: true, extra: withWatchdog, opts: mysqltest.PairOptions{Flavor: mysqltest.MySQL, Config: scheduler}},
}

const withWatchdog = "    fencing: {watchdog: true, watchdog_ttl: 4s}\n"

var scheduler = map[string]string{"event-scheduler": "ON"}

const (
	// shortSteps is how many faults the short set makes on each set-up.
	shortSteps = 4
	// ackBudget is how long after a fault the first write may take, healthyBudget how long until all servers serve.
	ackBudget     = 20 * time.Second
	healthyBudget = 45 * time.Second
)

// TestChaos runs a schedule of faults on each set-up. It says how to repeat what it found.
func TestChaos(t *testing.T) {
	for i, s := range setups {
		if *setupFlag != "" && *setupFlag != s.name || *flavorFlag != "" && *flavorFlag != s.opts.Flavor.String() {
			continue
		}
		if s.long && *setupFlag == "" && *minutesFlag == 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			runSchedule(t, s, rand.New(rand.NewPCG(*seedFlag, uint64(i))))
		})
	}
}

func runSchedule(t *testing.T, s setup, rng *rand.Rand) {
	t.Logf("repeat with: make chaos SEED=%d SETUP=%s MINUTES=%g", *seedFlag, s.name, *minutesFlag)
	r := newRig(t, s)
	end := time.Now().Add(time.Duration(*minutesFlag * float64(time.Minute)))
	r.run(func() bool {
		for step := 0; step < shortSteps || time.Now().Before(end); step++ {
			if !r.inject(choose(rng), rng) {
				return false
			}
		}
		return true
	})
}

// run does faults under load and observation and judges what came of them.
func (r *rig) run(faults func() bool) {
	r.t.Helper()
	stop := r.observe()
	l := r.startLoad()
	r.rest(time.Second)
	before := r.census()
	if !faults() {
		before = Census{} // nothing to compare with
	}
	r.rest(time.Second)
	r.history.Before, r.history.After = before, r.settledCensus(before)
	l.end()
	stop()
	r.finish()
	r.judge()
}

// only is the expression that names of faults have to match.
func only() *regexp.Regexp { return regexp.MustCompile(*faultFlag) }

// choose takes a fault by its weight.
func choose(rng *rand.Rand) fault {
	total := 0
	var list []fault
	for _, f := range faults {
		if only().MatchString(f.name) {
			total += f.weight
			list = append(list, f)
		}
	}
	n := rng.IntN(total)
	for _, f := range list {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	return list[0]
}

// observe starts the observers.
func (r *rig) observe() (stop func()) {
	r.history.Flavor, r.history.SemiSync = r.setup.opts.Flavor.String(), r.setup.opts.SemiSync
	r.history.GTID, r.history.IDs = !r.setup.opts.FilePos, map[uint32]string{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i, s := range r.pair.Servers {
		r.history.IDs[s.ServerID] = serverName(i)
		wg.Go(func() { r.watchFlags(ctx, i) })
	}
	wg.Go(func() { r.watchProxy(ctx) })
	stop = func() { cancel(); wg.Wait() }
	r.t.Cleanup(stop)
	return stop
}

// inject does one fault and waits until the cluster is whole again; false ends the run.
func (r *rig) inject(f fault, rng *rand.Rand) bool {
	if r.rewire() && !r.whole(healthyBudget) {
		return false
	}
	p := r.primary()
	if p < 0 {
		r.t.Errorf("before %s there is no primary", f.name)
		return false
	}
	x := f.marks
	x.Name, x.From, x.Budget = fmt.Sprintf("%s (%s)", f.name, serverName(p)), r.now(), ackBudget
	r.rest(lasting(rng, 300*time.Millisecond, 1300*time.Millisecond))
	x.From = r.now()
	r.t.Logf("at %s: %s", x.From.Round(time.Millisecond), x.Name)
	err := f.do(r, rng, p, r.other(p))
	x.To = r.now()
	if err != nil {
		r.t.Errorf("at %s: %s: %v", x.To.Round(time.Millisecond), x.Name, err)
	}
	good := r.whole(healthyBudget)
	if good {
		x.Healthy = r.now()
		r.semiSync(x.Name)
	}
	r.t.Logf("at %s: whole again: %v", r.now().Round(time.Millisecond), good)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Faults = append(r.history.Faults, x)
	return good && err == nil && !r.prog.ended()
}

// judge checks the history and keeps the evidence when there is something to be found.
func (r *rig) judge() {
	r.t.Helper()
	h := &r.history
	if r.prog.ended() {
		r.t.Errorf("onewriter ended by itself:\n%s", r.prog.logTail(3000))
	}
	for _, v := range Check(h) {
		r.t.Error(v)
	}
	counts := map[string]int{}
	for _, op := range h.Ops {
		counts[op.Kind.String()+" "+op.Outcome.String()]++
	}
	r.t.Logf("%d operations %v, %d faults, %d failovers, %s", len(h.Ops), counts, len(h.Faults), len(h.Failovers), r.now().Round(time.Second))
	for _, f := range h.Failovers {
		r.t.Logf("failover at %s from %s to %s: %s, at least %d lost, window %s, exact %v; %d rows were left behind, %d reported", f.At.Round(time.Millisecond), f.From, f.To, f.Fence, f.AtLeast, f.Window, f.Exact, len(f.Errant), f.Reported)
	}
	if r.t.Failed() {
		r.keep()
	}
}
