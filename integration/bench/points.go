package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// The table that sysbench reads.
const (
	pointScript = "oltp_point_select"
	pointCount  = 10000
)

// pointBar is how many times the CPU time of HAProxy a point select may cost.
const pointBar = 1.3

type pointLoad struct {
	threads  int
	prepared bool
}

func (l pointLoad) kind() string {
	if l.prepared {
		return "prepared"
	}
	return "text"
}

func (l pointLoad) String() string {
	return fmt.Sprintf("point select, %s, %s", l.kind(), plural(l.threads, "thread"))
}

// createPoints makes the table that is read, unless it is there.
func (r *rig) createPoints(ctx context.Context) error {
	if _, err := r.pair.Servers[0].DB().ExecContext(ctx, "SELECT 1 FROM app.sbtest1 LIMIT 1"); err == nil {
		return nil
	}
	out, err := r.sysbench(ctx, r.targets[direct], "--table-size="+strconv.Itoa(pointCount), "--auto-inc=off", pointScript, "prepare").CombinedOutput()
	if err != nil {
		return fmt.Errorf("sysbench prepare: %w\n%s", err, out)
	}
	return nil
}

// points measures single-row selects by primary key at 1, 8 and 64 sessions, as text and as prepared statements.
func points(ctx context.Context, r *rig, t *table) error {
	r.say("point selects: %d rounds of 6 loads, %s each", r.o.rounds, r.o.time)
	if err := r.createPoints(ctx); err != nil {
		return err
	}
	var loads []pointLoad
	for _, prepared := range []bool{false, true} {
		for _, threads := range []int{1, 8, 64} {
			loads = append(loads, pointLoad{threads, prepared})
		}
	}
	if err := r.measureBackground(ctx); err != nil {
		return err
	}
	for round := range r.o.rounds {
		for _, l := range loads {
			got, err := r.each(round, func(at *target) (samples, error) { return r.point(ctx, at, l) })
			if err != nil {
				return fmt.Errorf("%s: %w", l, err)
			}
			t.add(l.String(), got)
		}
	}
	return nil
}

// point is one run of sysbench at one target.
func (r *rig) point(ctx context.Context, t *target, l pointLoad) (samples, error) {
	mode := "disable"
	if l.prepared {
		mode = "auto"
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.time+20*time.Second)
	defer cancel()
	cmd := r.sysbench(ctx, t, "--table-size="+strconv.Itoa(pointCount), "--db-ps-mode="+mode, "--threads="+strconv.Itoa(l.threads),
		fmt.Sprintf("--time=%d", int(r.o.time.Seconds())), "--percentile=99", pointScript, "run")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	result, used, err := r.follow(ctx, t, stdout)
	if werr := cmd.Wait(); werr != nil {
		return nil, fmt.Errorf("sysbench: %w\n%s%s", werr, result, stderr.String())
	}
	if err != nil {
		return nil, err
	}
	used.mallocs -= t.background * used.took.Seconds()
	return pointSamples(result, used, t)
}

// follow reads what sysbench prints, and what the proxy spends from when all threads are logged in to the end.
func (r *rig) follow(ctx context.Context, t *target, stdout io.Reader) (string, cost, error) {
	var text strings.Builder
	var began cost
	var err error
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if strings.HasPrefix(lines.Text(), "Threads started") {
			began, err = t.cost(ctx)
		}
	}
	if err != nil {
		return text.String(), cost{}, err
	}
	ended, err := t.cost(ctx)
	return text.String(), ended.sub(began), err
}

// measureBackground finds out what onewriter allocates without any load: for its control plane, and for telling it.
func (r *rig) measureBackground(ctx context.Context) error {
	t := r.targets[onewriter]
	before, err := t.cost(ctx)
	if err != nil {
		return err
	}
	if err := wait(ctx, r.o.time); err != nil {
		return err
	}
	after, err := t.cost(ctx)
	used := after.sub(before)
	t.background = used.mallocs / used.took.Seconds()
	return err
}

var (
	sysbenchQueries = regexp.MustCompile(`queries:\s+(\d+)\s+\(([0-9.]+) per sec`)
	sysbenchP99     = regexp.MustCompile(`99th percentile:\s+([0-9.]+)`)
	sysbenchErrors  = regexp.MustCompile(`ignored errors:\s+(\d+)`)
)

// pointSamples reads the summary of sysbench.
func pointSamples(text string, c cost, t *target) (samples, error) {
	q, p, e := sysbenchQueries.FindStringSubmatch(text), sysbenchP99.FindStringSubmatch(text), sysbenchErrors.FindStringSubmatch(text)
	if q == nil || p == nil || e == nil {
		return nil, errors.New("sysbench printed no summary:\n" + text)
	}
	if e[1] != "0" {
		return nil, errors.New("sysbench met errors:\n" + text)
	}
	n, err1 := strconv.ParseFloat(q[1], 64)
	rate, err2 := strconv.ParseFloat(q[2], 64)
	p99, err3 := strconv.ParseFloat(p[1], 64)
	if err := errors.Join(err1, err2, err3); err != nil || n == 0 {
		return nil, errors.Join(err, errors.New("sysbench's summary makes no sense:\n"+text))
	}
	s := samples{{name: "queries/s", value: rate}, {name: "p99 ms", value: p99}}
	if t.proc != 0 {
		s = append(s, sample{name: "CPU µs/query", value: c.cpu.Seconds() * 1e6 / n, bar: pointBar})
	}
	if t.admin != "" {
		s = append(s, sample{name: "allocations/query", value: max(0, c.mallocs/n)})
	}
	return s, nil
}

// sysbench is a command at one target.
func (r *rig) sysbench(ctx context.Context, t *target, args ...string) *exec.Cmd {
	common := []string{
		"--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-port=" + strconv.Itoa(t.port), "--mysql-db=app",
		"--mysql-user=" + mysqltest.AppUser, "--mysql-password=" + mysqltest.AppPassword,
	}
	return exec.CommandContext(ctx, "sysbench", append(common, args...)...)
}
