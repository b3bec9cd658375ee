package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
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
	Command  string            `json:"command"`
	Rounds   int               `json:"rounds"`
	Load     [2]string         `json:"load_average"` // of one minute, before and after
	Sections []section         `json:"sections"`
}

// section is what was measured with servers of one kind.
type section struct {
	Servers string `json:"servers"`
	Lines   []line `json:"lines"`
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

// add takes over what was measured with some servers.
func (rep *report) add(servers string, t *table) {
	s := section{Servers: servers}
	for _, r := range t.rows {
		l := line{
			Load: r.load, Figure: r.figure, Bar: r.bar, Limit: r.limit, Ratio: spreadOf(r.ratios),
			Direct: spreadOf(r.values[direct]), HAProxy: spreadOf(r.values[haproxy]), Onewriter: spreadOf(r.values[onewriter]),
		}
		l.Over = l.Bar > 0 && l.Ratio != nil && l.Ratio.Median > l.Bar || l.Limit > 0 && l.Onewriter != nil && l.Onewriter.Median > l.Limit
		s.Lines = append(s.Lines, l)
	}
	rep.Sections = append(rep.Sections, s)
}

// describe says what is measured, and where.
func describe(ctx context.Context, o options) (*report, error) {
	rep := &report{Rounds: o.rounds, Versions: map[string]string{"go": runtime.Version()}, Command: strings.Join(append([]string{"bench"}, os.Args[1:]...), " ")}
	rep.Load[0] = loadAverage()
	rep.Machine = fmt.Sprintf("%d cores, %s, Linux %s, %s/%s", runtime.NumCPU(), cpuModel(), kernel(), runtime.GOOS, runtime.GOARCH)
	programs := map[string][]string{"onewriter": {o.program, "version"}, "sysbench": {"sysbench", "--version"}}
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

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
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

// print writes the report as Markdown: the bars, then everything.
func (rep *report) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; load average %s before, %s after. `%s`\n\n", rep.Machine, rep.Load[0], rep.Load[1], rep.Command)
	for _, name := range slices.Sorted(maps.Keys(rep.Versions)) {
		fmt.Fprintf(&b, "- %s: %s\n", name, rep.Versions[name])
	}
	fmt.Fprintf(&b, "\nMedians of %d rounds. A ratio is that of onewriter to HAProxy in the same round, with its range.\n\n### Bars\n\n", rep.Rounds)
	b.WriteString("| what | servers | bar | here | |\n|---|---|---|---|---|\n")
	for _, s := range rep.Sections {
		for _, l := range s.Lines {
			if what, here := l.bar(); what != "" {
				fmt.Fprintf(&b, "| %s: %s | %s | %s | %s | %s |\n", l.Load, l.Figure, s.Servers, what, here, l.verdict())
			}
		}
	}
	for _, s := range rep.Sections {
		fmt.Fprintf(&b, "\n### %s\n\n| load | figure | direct | haproxy | onewriter | ratio |\n|---|---|---|---|---|---|\n", s.Servers)
		last := ""
		for _, l := range s.Lines {
			name := l.Load
			if name == last {
				name = ""
			}
			last = l.Load
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", name, l.Figure, figure(l.Direct), figure(l.HAProxy), figure(l.Onewriter), ratio(l.Ratio))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// bar is the bar of a line and what was measured; empty when it has none.
func (l line) bar() (what, here string) {
	switch {
	case l.Bar > 0:
		return fmt.Sprintf("<= %.1f x HAProxy", l.Bar), ratio(l.Ratio)
	case l.Limit > 0:
		return fmt.Sprintf("<= %g", l.Limit), figure(l.Onewriter)
	default:
		return "", ""
	}
}

func (l line) verdict() string {
	switch {
	case l.Bar > 0 && l.Ratio == nil || l.Limit > 0 && l.Onewriter == nil:
		return "not measured"
	case l.Over:
		return "**not met**"
	default:
		return "met"
	}
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
	digits := 2
	if s.Median >= 100 {
		digits = 0
	}
	if s.Min == s.Max {
		return fmt.Sprintf("%.*f", digits, s.Median)
	}
	return fmt.Sprintf("%.*f [%.*f-%.*f]", digits, s.Median, digits, s.Min, digits, s.Max)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
