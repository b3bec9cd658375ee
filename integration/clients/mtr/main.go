package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// options are those of the command line.
type options struct {
	flavor  mysqltest.Flavor
	program string // onewriter
	tests   string // where the tests' package was unpacked
	run     *regexp.Regexp
	skip    *regexp.Regexp
	args    string // for the test client
	limit   time.Duration
	out     string
	moves   time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse()
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mtr:", err)
		os.Exit(1)
	}
}

func parse() (o options, err error) {
	flavor := flag.String("flavor", "mariadb", "mariadb or mysql")
	only := flag.String("run", `^main\.`, "regular expression of SUITE.TEST")
	skip := flag.String("skip", "^$", "regular expression of what is left out")
	flag.StringVar(&o.program, "onewriter", "bin/onewriter", "the onewriter to run")
	flag.StringVar(&o.tests, "tests", "", "directory into which the tests' packages were unpacked; default mtr-FLAVOR in the cache")
	flag.StringVar(&o.args, "args", "", "options for the test client, such as --ps-protocol, --cursor-protocol, --view-protocol, --compress")
	flag.DurationVar(&o.limit, "limit", time.Minute, "limit of a test")
	flag.StringVar(&o.out, "out", "", "directory for the output of tests that differ; default a temporary one")
	flag.DurationVar(&o.moves, "moves", 0, "move the primary role there and back in this interval; 0 does not")
	flag.Parse()
	if o.flavor, err = mysqltest.ParseFlavor(*flavor); err != nil {
		return o, err
	}
	if o.tests == "" {
		cache, err := mysqltest.CacheDir()
		if err != nil {
			return o, err
		}
		o.tests = filepath.Join(cache, "mtr-"+o.flavor.String())
	}
	if o.run, err = regexp.Compile(*only); err != nil {
		return o, err
	}
	if o.skip, err = regexp.Compile(*skip); err != nil {
		return o, err
	}
	if o.program, err = filepath.Abs(o.program); err != nil {
		return o, err
	}
	if o.out == "" {
		o.out, err = os.MkdirTemp("", "onewriter-mtr-out-")
	}
	return o, errors.Join(err, os.MkdirAll(o.out, 0o755))
}

func run(ctx context.Context, o options) (err error) {
	at, err := find(o.flavor, o.tests)
	if err != nil {
		return err
	}
	tests, err := at.list(o.run, o.skip)
	if err != nil {
		return err
	}
	sides, err := open(ctx, o, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sides.close()) }()
	count := map[verdict]int{}
	var different []string
	for i, t := range tests {
		var m *mover
		if o.moves > 0 {
			m = sides.startMoving(ctx, o.moves)
		}
		v := sides.compare(ctx, t)
		moves, stuck := m.end()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		reason, expected := reasons[t.name()]
		if v == differs && expected {
			v = known
		} else {
			reason = ""
		}
		count[v]++
		if v == differs {
			different = append(different, t.name())
		}
		fmt.Printf("%d/%d %s %s %s%s\n", i+1, len(tests), t.name(), v, reason, told(moves))
		if err := errors.Join(stuck, sides.clean(ctx)); err != nil && ctx.Err() == nil {
			fmt.Printf("starting anew, %s has left servers that can't be cleaned: %v\n", t.name(), err)
			if err := sides.close(); err != nil {
				return err
			}
			if sides, err = open(ctx, o, at); err != nil {
				return err
			}
		}
	}
	fmt.Printf("== %d tests: %d the same (%d of them as expected by the makers), %d skipped themselves, %d unlike themselves, %d known to differ, %d ended by moves, %d differ\n",
		len(tests), count[passes]+count[same], count[passes], count[skipped], count[unstable], count[known], count[ended], count[differs])
	if len(different) > 0 {
		return fmt.Errorf("%d tests differ through onewriter, their output is in %s: %q", len(different), o.out, different)
	}
	return nil
}

// verdict is the outcome of a test.
type verdict int

const (
	passes   verdict = iota // the same through onewriter, and as the makers expect
	same                    // the same through onewriter
	skipped                 // not for such a server
	unstable                // differs from itself
	known
	differs
	ended // a move has ended a session that was pinned, or a transaction
)

func (v verdict) String() string {
	return [...]string{"pass", "same", "skip", "unstable", "known", "DIFFERS", "ended"}[v]
}

// tries bounds how often a test that differs is run on each side.
const tries = 3

// compare runs a test on both sides until it is known whether it differs.
func (s *sides) compare(ctx context.Context, t test) verdict {
	var seen [2][]outcome
	for range tries {
		now := s.both(ctx, t)
		for i := range now {
			seen[i] = append(seen[i], now[i])
		}
		for _, direct := range seen[0] {
			for _, proxied := range seen[1] {
				if direct.equal(proxied) {
					return direct.verdict(t)
				}
			}
		}
		if now[1].endedByMove() && !now[0].endedByMove() {
			s.keep(t, now[0], now[1])
			return ended
		}
		if err := s.clean(ctx); err != nil {
			break
		}
	}
	s.keep(t, seen[0][len(seen[0])-1], seen[1][len(seen[1])-1])
	for _, direct := range seen[0][1:] {
		if !direct.equal(seen[0][0]) {
			return unstable
		}
	}
	return differs
}

// keep writes down what a test has said.
func (s *sides) keep(t test, direct, proxied outcome) {
	name := filepath.Join(s.out, strings.ReplaceAll(t.name(), "/", "-"))
	_ = os.WriteFile(name+".direct", []byte(direct.text), 0o644)
	_ = os.WriteFile(name+".proxy", []byte(proxied.text), 0o644)
}

// both runs a test on both sides at the same time.
func (s *sides) both(ctx context.Context, t test) (out [2]outcome) {
	var wg sync.WaitGroup
	for i, one := range []*side{s.direct, s.proxied} {
		wg.Go(func() { out[i] = one.run(ctx, t) })
	}
	wg.Wait()
	return out
}
