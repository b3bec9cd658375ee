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
	sessions int           // idle sessions
	idle     time.Duration // for which their CPU time is taken
	flavor   mysqltest.Flavor
	program  string // the onewriter to measure
	only     string // a part to run alone: points, connects, results or sessions; empty for all
	output   string // text or json
	wait     bool   // only start everything
	limit    time.Duration
}

func parseOptions(args []string) (options, error) {
	var o options
	var quick bool
	var flavor string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "how often each load is run at each target")
	f.DurationVar(&o.time, "time", 2*time.Second, "length of one run of point selects, whole seconds")
	f.IntVar(&o.connects, "connects", 400, "connections of one run")
	f.IntVar(&o.bytes, "bytes", 100e6, "size of one large result")
	f.IntVar(&o.sessions, "sessions", 2000, "idle sessions to measure the memory of")
	f.DurationVar(&o.idle, "idle", 5*time.Second, "how long the CPU time of idle sessions is taken")
	f.StringVar(&flavor, "flavor", "mariadb", "mariadb or mysql")
	f.StringVar(&o.program, "onewriter", "bin/onewriter", "the program to measure")
	f.StringVar(&o.only, "only", "", "run one part: points, connects, results or sessions")
	f.StringVar(&o.output, "output", "text", "text or json")
	f.DurationVar(&o.limit, "limit", 10*time.Minute, "give up after this long")
	f.BoolVar(&o.wait, "wait", false, "measure nothing: start everything, say where it listens, and wait for a signal")
	f.BoolVar(&quick, "quick", false, "two short rounds, to see that it works; the figures mean little")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if quick {
		shorten(f)
	}
	if o.rounds < 1 || o.time < time.Second || o.connects < 1 || o.bytes < 1e6 || o.bytes > 200e6 || o.sessions < 1 || o.idle < time.Second {
		return o, errors.New("a count is below 1, a time below 1s or the size of a result not between 1000000 and 200000000")
	}
	if o.output != "text" && o.output != "json" {
		return o, fmt.Errorf("--output is %q, not text or json", o.output)
	}
	if _, known := parts[o.only]; !known && o.only != "" {
		return o, fmt.Errorf("--only is %q, not points, connects, results or sessions", o.only)
	}
	var err error
	o.flavor, err = mysqltest.ParseFlavor(flavor)
	return o, err
}

// shorten gives smaller values to what was not asked for on the command line.
func shorten(f *flag.FlagSet) {
	small := map[string]string{"rounds": "2", "time": "1s", "connects": "100", "bytes": "20000000", "sessions": "500", "idle": "2s"}
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

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done after %s (--limit)", o.limit))
	defer cancel()
	r, err := newRig(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if o.wait {
		r.tell(out)
		<-ctx.Done()
		return nil
	}
	rep, err := measure(ctx, r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	if o.output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(rep)
	}
	return rep.print(out)
}

// part is a group of loads.
type part func(ctx context.Context, r *rig, t *table) error

var parts = map[string]part{"points": points, "connects": connects, "results": results, "sessions": sessions}

func measure(ctx context.Context, r *rig) (*report, error) {
	rep, err := describe(ctx, r)
	if err != nil {
		return nil, err
	}
	t := &table{}
	for _, name := range []string{"points", "connects", "results", "sessions"} {
		if r.o.only != "" && r.o.only != name {
			continue
		}
		if err := parts[name](ctx, r, t); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	rep.finish(t)
	return rep, nil
}
