package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"bufio"
)

// process is the id of a process whose cost is measured; 0 costs nothing.
type process int

// tick is the unit of the times in /proc/PID/stat, USER_HZ, which is 100 on every platform that Go runs on.
const tick = 10 * time.Millisecond

// cpu is the user and system time that the process has used so far (proc(5), fields 14 and 15 of stat), in steps of
// 10 ms.
func (p process) cpu() (time.Duration, error) {
	if p == 0 {
		return 0, nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return 0, err
	}
	// The second field is the name, in parentheses, and may have spaces.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is cut short")
	}
	var total time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		total += time.Duration(n) * tick
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
