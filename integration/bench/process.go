package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bufio"
)

// process is the id of a process whose cost is measured; 0 costs nothing.
type process int

// cpu is the user and system time that the process's threads have used so far: the first field of their schedstat
// (Documentation/scheduler/sched-stats.rst), in nanoseconds, where stat has steps of 10 ms. A thread that ended is not
// counted any more; neither proxy ends threads while it serves.
func (p process) cpu() (time.Duration, error) {
	if p == 0 {
		return 0, nil
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p))
	if err != nil || len(threads) == 0 {
		return 0, errors.Join(err, fmt.Errorf("process %d has no threads in /proc", p))
	}
	var total time.Duration
	for _, name := range threads {
		b, rerr := os.ReadFile(name)
		if rerr != nil {
			return 0, rerr
		}
		used, _, _ := strings.Cut(string(b), " ")
		n, perr := strconv.ParseInt(used, 10, 64)
		if perr != nil {
			return 0, fmt.Errorf("%s: %w", name, perr)
		}
		total += time.Duration(n)
	}
	return total, nil
}

// rss is the memory of the process that is in RAM, in bytes.
func (p process) rss() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, errors.New("/proc/PID/statm is cut short")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// mallocs is the number of objects that onewriter has allocated so far, from its metrics.
func (t *target) mallocs(ctx context.Context) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if v, found := strings.CutPrefix(lines.Text(), "go_memstats_mallocs_total "); found {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, errors.New("the metrics lack go_memstats_mallocs_total")
}

// cost is what a proxy has used since it started, or between two points in time.
type cost struct {
	at      time.Time
	took    time.Duration // between the two
	cpu     time.Duration
	mallocs float64 // of onewriter
}

func (t *target) cost(ctx context.Context) (c cost, err error) {
	if t.admin != "" {
		if c.mallocs, err = t.mallocs(ctx); err != nil {
			return c, err
		}
	}
	c.at = time.Now()
	c.cpu, err = t.proc.cpu()
	return c, err
}

func (c cost) sub(d cost) cost {
	return cost{at: c.at, took: c.at.Sub(d.at), cpu: c.cpu - d.cpu, mallocs: c.mallocs - d.mallocs}
}
