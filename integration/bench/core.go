package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
}

// measureCore runs them.
func measureCore(ctx context.Context, rep *report, progress io.Writer) error {
	fmt.Fprintln(progress, "session core")
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Server(OK|Rows)|TextPointSelect|PreparedExecute|Meter)$", "-benchmem",
		"-benchtime", "300ms", "-count", "3", "./session", "./proxy").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test -bench: %w\n%s", err, out)
	}
	t := &table{}
	for _, f := range coreFigures {
		// BenchmarkX-2  1000  123.4 ns/op  5.0 ns/row  0 B/op  0 allocs/op
		pattern := regexp.MustCompile(`(?m)^` + f.benchmark + `\S*\s.*?([0-9.]+) ` + regexp.QuoteMeta(f.unit) + `\b`)
		found := pattern.FindAllSubmatch(out, -1)
		if len(found) == 0 {
			return errors.New("go test -bench printed no " + f.benchmark + " in " + f.unit + ":\n" + string(bytes.TrimSpace(out)))
		}
		for _, m := range found {
			v, err := strconv.ParseFloat(string(m[1]), 64)
			if err != nil {
				return err
			}
			t.add(f.load, [targets]samples{onewriter: {{name: f.unit, value: v, limit: f.limit}}})
		}
	}
	rep.add("without servers", t)
	return nil
}
