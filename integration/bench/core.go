package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"strconv"
)

// coreFigures are Go benchmarks of the parts that do no I/O, with the limits of what they may take.
var coreFigures = []struct {
	benchmark, load, unit string
	limit                 float64
}{
	{"BenchmarkServerOK", "session core, an OK", "ns/op", 200},
	{"BenchmarkTextPointSelect", "session core, command and answer of a point select", "ns/op", 0},
	{"BenchmarkPreparedExecute", "session core, command and answer of a prepared execute", "ns/op", 0},
	{"BenchmarkServerRows", "session core, rows", "ns/row", 30},
	{"BenchmarkServerOK", "session core, an OK", "allocs/op", 0.5},
	{"BenchmarkServerRows", "session core, rows", "allocs/op", 0.5},
	{"BenchmarkMeter", "metrics of one command, its two looks at the clock included", "ns/op", 0},
	{"BenchmarkMeterCounting", "metrics of one command without them", "ns/op", 0},
}

// measureCore runs them.
func measureCore(ctx context.Context, rep *report, progress io.Writer) error {
	fmt.Fprintln(progress, "session core")
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Server(OK|Rows)|TextPointSelect|PreparedExecute|Meter(Counting)?)$", "-benchmem",
		"-benchtime", "50ms", "-count", "15", "./session", "./proxy").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test -bench: %w\n%s", err, out)
	}
	t := &table{}
	for _, f := range coreFigures {
		// BenchmarkX-2  1000  123.4 ns/op  5.0 ns/row  0 B/op  0 allocs/op
		pattern := regexp.MustCompile(`(?m)^` + f.benchmark + `(?:-\d+)?\s.*?([0-9.]+) ` + regexp.QuoteMeta(f.unit) + `\b`)
		found := pattern.FindAllSubmatch(out, -1)
		if len(found) == 0 {
			return errors.New("go test -bench printed no " + f.benchmark + " in " + f.unit + ":\n" + string(bytes.TrimSpace(out)))
		}
		best := math.Inf(1) // elapsed time: the run that was disturbed least
		for _, m := range found {
			v, err := strconv.ParseFloat(string(m[1]), 64)
			if err != nil {
				return err
			}
			best = min(best, v)
		}
		t.add(f.load+", best of 15", [targets]samples{onewriter: {{name: f.unit, value: best, limit: f.limit}}})
	}
	rep.add("without servers", t)
	return nil
}
