package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// options are what can be chosen on the command line.
type options struct {
	rounds   int           // how often each load is run at each target
	time     time.Duration // of one run of point selects
	connects int           // connections of one run
	bytes    int           // of one large result
	sessions int           // idle sessions whose memory is taken
	many     int           // idle sessions whose CPU time is taken
	idle     time.Duration // for which it is taken
	pauses   int           // switchovers there and back
	flavors  []mysqltest.Flavor
	program  string   // the onewriter to measure
	only     []string // the parts to run; empty for all
	output   string   // markdown or json
	wait     bool     // only start everything
	limit    time.Duration
}

func parseOptions(args []string) (options, error) {
	var o options
	var quick bool
	var flavors, only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "how often each load is run at each target")
	f.DurationVar(&o.time, "time", time.Second, "length of one run of point selects, whole seconds")
	f.IntVar(&o.connects, "connects", 400, "connections of one run")
	f.IntVar(&o.bytes, "bytes", 100e6, "size of one large result")
	f.IntVar(&o.sessions, "sessions", 5000, "idle sessions to measure the memory of")
	f.IntVar(&o.many, "many", 10000, "idle sessions to measure the CPU time of, as far as the limit of open files lets them")
	f.DurationVar(&o.idle, "idle", 5*time.Second, "how long the CPU time of idle sessions is taken")
	f.IntVar(&o.pauses, "pauses", 5, "switchovers there and back to measure the pause of")
	f.StringVar(&flavors, "flavor", "mariadb,mysql", "mariadb, mysql or both")
	f.StringVar(&o.program, "onewriter", "bin/onewriter", "the program to measure")
	f.StringVar(&only, "only", "", "run some parts: "+strings.Join(partNames(), ","))
	f.StringVar(&o.output, "output", "markdown", "markdown or json")
	f.DurationVar(&o.limit, "limit", 30*time.Minute, "give up after this long")
	f.BoolVar(&o.wait, "wait", false, "measure nothing: start everything, say where it listens, and wait for a signal")
	f.BoolVar(&quick, "quick", false, "two short rounds, to see that it works; the figures mean little")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if quick {
		shorten(f)
	}
	if o.rounds < 1 || o.time < time.Second || o.connects < 1 || o.bytes < 1e6 || o.bytes > 200e6 || o.sessions < 1 || o.many < 1 || o.pauses < 1 || o.idle < time.Second {
		return o, errors.New("a count is below 1, a time below 1s or the size of a result not between 1000000 and 200000000")
	}
	if o.output != "markdown" && o.output != "json" {
		return o, fmt.Errorf("--output is %q, not markdown or json", o.output)
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if !slices.Contains(partNames(), name) {
			return o, fmt.Errorf("--only has %q, which is none of %s", name, strings.Join(partNames(), ", "))
		}
	}
	for _, name := range strings.Split(flavors, ",") {
		flavor, err := mysqltest.ParseFlavor(name)
		if err != nil {
			return o, err
		}
		o.flavors = append(o.flavors, flavor)
	}
	return o, nil
}

// shorten gives smaller values to what was not asked for on the command line.
func shorten(f *flag.FlagSet) {
	small := map[string]string{
		"rounds": "2", "time": "1s", "connects": "100", "bytes": "20000000", "sessions": "500", "many": "1000", "idle": "2s", "pauses": "1",
	}
	f.Visit(func(given *flag.Flag) { delete(small, given.Name) })
	for name, value := range small {
		_ = f.Set(name, value) // they are valid
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done after %s (--limit)", o.limit))
	defer cancel()
	raiseFileLimit()
	o.sessions, o.many = min(o.sessions, openable()), min(o.many, openable())
	rep, err := describe(ctx, o)
	if err != nil {
		return err
	}
	err = measureAll(ctx, o, rep, out, progress)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if o.wait {
		return err
	}
	rep.Load[1] = loadAverage()
	return errors.Join(err, rep.write(o.output, out)) // what was measured until then is told, too
}

// measureAll measures on all flavours, and the session core without servers.
func measureAll(ctx context.Context, o options, rep *report, out, progress io.Writer) error {
	for _, flavor := range o.flavors {
		if err := measure(ctx, o, flavor, rep, out, progress); err != nil {
			return err
		}
	}
	if o.wait || !o.wants("core") {
		return nil
	}
	return measureCore(ctx, rep, progress)
}

// write prints the report in the given form, markdown or json.
func (rep *report) write(form string, out io.Writer) error {
	if form == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(rep)
	}
	return rep.print(out)
}

// openable is how many sessions a proxy can have within the limit of open files; each takes two.
func openable() int { return (fileLimit() - 1000) / 2 }

// wants reports whether the part called name is to be run.
func (o options) wants(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }

// part is a group of loads at real servers.
type part struct {
	name string
	run  func(ctx context.Context, r *rig, t *table) error
}

// parts are run in this order. From tls on each starts the proxies anew.
func parts() []part {
	return []part{
		{"points", points}, {"connects", connects}, {"results", results}, {"readers", readers}, {"rebuilds", rebuilds}, {"pauses", pauses}, {"tls", secured},
		{"sessions", sessions}, {"many", many}, {"wave", wave},
	}
}

// partNames are what --only takes.
func partNames() (names []string) {
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return append(names, "core")
}

// measure runs the parts with servers of one flavour and adds what they found to rep.
func measure(ctx context.Context, o options, flavor mysqltest.Flavor, rep *report, out, progress io.Writer) (err error) {
	if slices.Equal(o.only, []string{"core"}) {
		return nil
	}
	r, err := newRig(ctx, o, flavor, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if o.wait {
		r.tell(out)
		<-ctx.Done()
		return nil
	}
	version, err := r.version(ctx)
	if err != nil {
		return err
	}
	t := &table{}
	defer rep.add(version, t)
	for _, p := range parts() {
		if !o.wants(p.name) {
			continue
		}
		if err := p.run(ctx, r, t); err != nil {
			return fmt.Errorf("%s: %s: %w", flavor, p.name, err)
		}
	}
	return nil
}
