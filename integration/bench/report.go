package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// sample is one figure of one run at one target. A bar is the greatest ratio to HAProxy that onewriter may have, a limit
// its greatest value; 0 means none.
type sample struct {
	name       string
	value      float64
	bar, limit float64
}

type samples []sample

// row is one figure of one load, at all targets, over all rounds.
type row struct {
	load, figure string
	bar, limit   float64
	values       [targets][]float64
	ratios       []float64 // onewriter to HAProxy in the same round
}

// table collects the rows in the order in which they first appear.
type table struct{ rows []*row }

// add notes what one round of one load gave.
func (t *table) add(load string, got [targets]samples) {
	var pair [targets]map[string]float64
	for i, list := range got {
		pair[i] = map[string]float64{}
		for _, s := range list {
			r := t.row(load, s)
			r.values[i] = append(r.values[i], s.value)
			pair[i][s.name] = s.value
		}
	}
	for name, v := range pair[onewriter] {
		if base := pair[haproxy][name]; base > 0 {
			r := t.row(load, sample{name: name})
			r.ratios = append(r.ratios, v/base)
		}
	}
}

func (t *table) row(load string, s sample) *row {
	for _, r := range t.rows {
		if r.load == load && r.figure == s.name {
			return r
		}
	}
	r := &row{load: load, figure: s.name, bar: s.bar, limit: s.limit}
	t.rows = append(t.rows, r)
	return r
}

// spread is the median and the range of some figures.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(v []float64) *spread {
	if len(v) == 0 {
		return nil
	}
	v = slices.Clone(v)
	slices.Sort(v)
	m := v[len(v)/2]
	if len(v)%2 == 0 {
		m = (m + v[len(v)/2-1]) / 2
	}
	return &spread{m, v[0], v[len(v)-1]}
}

// report is the outcome of a run.
type report struct {
	Machine  string            `json:"machine"`
	Versions map[string]string `json:"versions"`
	Rounds   int               `json:"rounds"`
	Load     [2]string         `json:"load_average"` // of one minute, before and after
	Lines    []line            `json:"lines"`
}

// line is one row of the table.
type line struct {
	Load      string  `json:"load"`
	Figure    string  `json:"figure"`
	Direct    *spread `json:"direct,omitempty"`
	HAProxy   *spread `json:"haproxy,omitempty"`
	Onewriter *spread `json:"onewriter,omitempty"`
	Ratio     *spread `json:"ratio,omitempty"` // onewriter to HAProxy, round by round
	Bar       float64 `json:"bar,omitempty"`   // for the ratio
	Limit     float64 `json:"limit,omitempty"` // for the figure
	Over      bool    `json:"over,omitempty"`
}

func (rep *report) finish(t *table) {
	rep.Load[1] = loadAverage()
	for _, r := range t.rows {
		l := line{
			Load: r.load, Figure: r.figure, Bar: r.bar, Limit: r.limit, Ratio: spreadOf(r.ratios),
			Direct: spreadOf(r.values[direct]), HAProxy: spreadOf(r.values[haproxy]), Onewriter: spreadOf(r.values[onewriter]),
		}
		l.Over = l.Bar > 0 && l.Ratio != nil && l.Ratio.Median > l.Bar || l.Limit > 0 && l.Onewriter != nil && l.Onewriter.Median > l.Limit
		rep.Lines = append(rep.Lines, l)
	}
}

// describe says what is measured, and where.
func describe(ctx context.Context, r *rig) (*report, error) {
	rep := &report{Rounds: r.o.rounds, Versions: map[string]string{"go": runtime.Version()}}
	rep.Load[0] = loadAverage()
	rep.Machine = fmt.Sprintf("%d cores, %s, %s/%s", runtime.NumCPU(), cpuModel(), runtime.GOOS, runtime.GOARCH)
	var server string
	if err := r.pair.Servers[0].DB().QueryRowContext(ctx, "SELECT VERSION()").Scan(&server); err != nil {
		return nil, err
	}
	rep.Versions[r.o.flavor.String()] = server
	programs := map[string][]string{"onewriter": {r.o.program, "version"}, "sysbench": {"sysbench", "--version"}}
	if path := haproxyProgram(); path != "" {
		programs["haproxy"] = []string{path, "-v"}
	}
	for name, argv := range programs {
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
		}
		first, _, _ := bytes.Cut(out, []byte("\n"))
		rep.Versions[name] = string(first)
	}
	return rep, nil
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for l := range strings.Lines(string(b)) {
		if k, v, found := strings.Cut(l, ":"); found && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// print writes the table for people.
func (rep *report) print(out io.Writer) error {
	fmt.Fprintf(out, "%s; load average %s before, %s after\n", rep.Machine, rep.Load[0], rep.Load[1])
	names := make([]string, 0, len(rep.Versions))
	for name := range rep.Versions {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "%s: %s\n", name, rep.Versions[name])
	}
	fmt.Fprintf(out, "Medians of %d rounds; the ratio is that of onewriter to HAProxy in the same round, with its range.\n\n", rep.Rounds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "load\tfigure\tdirect\thaproxy\tonewriter\tratio\tbar")
	last := ""
	for _, l := range rep.Lines {
		name := l.Load
		if name == last {
			name = ""
		}
		last = l.Load
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, l.Figure, figure(l.Direct), figure(l.HAProxy), figure(l.Onewriter), ratio(l.Ratio), l.verdict())
	}
	return w.Flush()
}

func (l line) verdict() string {
	s := ""
	switch {
	case l.Bar > 0:
		s = fmt.Sprintf("ratio %.1f", l.Bar)
	case l.Limit > 0:
		s = fmt.Sprintf("%.0f", l.Limit)
	default:
		return ""
	}
	if l.Over {
		return s + ": over"
	}
	return s + ": met"
}

func ratio(s *spread) string {
	if s == nil {
		return "-"
	}
	if s.Min == s.Max {
		return fmt.Sprintf("%.2f", s.Median)
	}
	return fmt.Sprintf("%.2f [%.2f-%.2f]", s.Median, s.Min, s.Max)
}

func figure(s *spread) string {
	if s == nil {
		return "-"
	}
	if s.Median >= 100 {
		return fmt.Sprintf("%.0f", s.Median)
	}
	return fmt.Sprintf("%.2f", s.Median)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
