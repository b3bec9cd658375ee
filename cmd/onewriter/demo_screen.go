package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/demo"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// plainRefresh is how often the status is printed where it cannot be written over.
const plainRefresh = 10 * time.Second

// demoScreen prints what happens for a person; for a program, only the result. Without a terminal it uses no control
// characters.
type demoScreen struct {
	w        io.Writer
	json     bool
	terminal bool

	mu     sync.Mutex
	status bool // the status line is on the screen
}

func newDemoScreen(w io.Writer, json bool) *demoScreen {
	file, ok := w.(*os.File)
	return &demoScreen{w: w, json: json, terminal: ok && isatty.IsTerminal(file.Fd()) && os.Getenv("TERM") != "dumb"}
}

// line prints one line above the status line.
func (s *demoScreen) line(format string, args ...any) {
	if s.json {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	_, _ = fmt.Fprintf(s.w, format+"\n", args...)
}

// clear removes the status line; the caller holds mu.
func (s *demoScreen) clear() {
	if s.status {
		_, _ = io.WriteString(s.w, "\r\x1b[K")
		s.status = false
	}
}

// replace shows text as the status line.
func (s *demoScreen) replace(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	_, _ = io.WriteString(s.w, text)
	s.status = true
}

func (s *demoScreen) title(f mysqltest.Flavor) {
	product := map[mysqltest.Flavor]string{mysqltest.MariaDB: "MariaDB", mysqltest.MySQL: "MySQL"}[f]
	s.line("Onewriter demo: a real %s pair, a proxy in front of it, and clients that must not notice a switchover.\n", product)
}

func (s *demoScreen) note(text string) { s.line("%s  %s", time.Now().Format(time.TimeOnly), text) }

// started says what runs where.
func (s *demoScreen) started(d *show, took time.Duration) {
	for i, server := range d.stage.pair.Servers {
		role := "standby"
		if i == 0 {
			role = "primary"
		}
		s.line("  server %s    %-17s %-8s %s", demoServerName(i), server.Addr(), role, d.result.Versions[i])
	}
	s.line("  onewriter   %-17s leads to the primary", d.stage.writes)
	s.line("              %-17s leads to the standby", d.stage.reads)
	s.line("              %-17s admin API", d.stage.address)
	s.line("  clients     %d writers, %d readers (DSN %s)\n", d.options.writers, d.options.readers, d.result.DSN)
	s.note(fmt.Sprintf("started in %s; the load begins", took.Round(100*time.Millisecond)))
}

// moved tells of one switchover.
func (s *demoScreen) moved(m api.Switchover, pause time.Duration) {
	s.note(fmt.Sprintf("switchover %s -> %s (epoch %d): no write was acknowledged for %.1f ms; %d sessions moved, %d closed",
		m.From, m.To, m.Epoch, milliseconds(pause), m.SessionsMoved, len(m.SessionsClosed)))
	for i, c := range m.SessionsClosed {
		if i < 3 {
			s.note(fmt.Sprintf("  session %d was closed: %s", c.ID, c.Reason))
		}
	}
}

func (s *demoScreen) failed(err error) { s.note("switchover failed: " + err.Error()) }

// invite prints what to try next.
func (s *demoScreen) invite(st *stage) {
	program, err := os.Executable()
	if err != nil {
		program = "onewriter"
	}
	host, port, _ := strings.Cut(st.writes, ":")
	_, readPort, _ := strings.Cut(st.reads, ":")
	flag := ""
	if st.address != "127.0.0.1:8989" {
		flag = " --admin http://" + st.address
	}
	s.line(`
  The demo runs on until Ctrl-C. Try, in another terminal:
    mysql -h%[1]s -P%[2]s -uapp -papp-secret app      # the primary; -P%[3]s is the standby
    %[4]s status --watch%[5]s
    %[4]s switchover%[5]s
    curl -s http://%[6]s/api/v1/clusters/%[7]s
    curl -s -X POST -H 'Content-Type: application/json' -d '{}' http://%[6]s/api/v1/clusters/%[7]s/switchover
  Configuration: %[8]s
`, host, port, readPort, program, flag, st.address, demoCluster, st.configPath())
}

// live keeps the status on the screen until ctx is done.
func (s *demoScreen) live(ctx context.Context, d *show) error {
	if s.json {
		return nil
	}
	every := plainRefresh
	if s.terminal {
		every = demoRefresh
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, at := d.ledger.Stats(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, st := d.ledger.Stats(), d.watch.Last()
		rate := float64(now.Acknowledged-last.Acknowledged) / time.Since(at).Seconds()
		last, at = now, time.Now()
		text := fmt.Sprintf("primary %s  epoch %d  %d rows acknowledged (%.0f/s)  %d errors  longest pause %.0f ms",
			st.Primary, st.Epoch, now.Acknowledged, rate, now.Errors, milliseconds(now.Longest))
		if s.terminal {
			s.replace(text)
		} else {
			s.note(text)
		}
	}
}

// verdict prints the result.
func (s *demoScreen) verdict(r *demo.Result) error {
	if s.json {
		return printJSON(s.w, r)
	}
	equal := "yes"
	if !r.ChecksumsEqual {
		equal = "NO"
	}
	s.line("\nAfter %.0f s and %d switchovers:", r.Seconds, r.Switchovers)
	s.line("  rows acknowledged to clients     %d", r.Acknowledged)
	s.line("  of them missing on a server      %d", r.Lost)
	s.line("  errors that clients saw          %d", r.ClientErrors)
	s.line("  longest time without a write     %.1f ms", r.LongestPauseMS)
	s.line("  rows equal on all servers        %s", equal)
	s.line("  rows on a server not primary     %d of %d checked", r.Misplaced, r.Placed)
	s.line("  rows by server                   %s", rowsByServer(r))
	s.line("  primary now                      %s", r.Primary)
	for _, e := range r.Errors {
		s.line("  error: %s", e)
	}
	if broken := r.Broken(); len(broken) == 0 {
		s.line("\nThe promise held: nothing lost, nobody noticed.\n")
	}
	return nil
}

func rowsByServer(r *demo.Result) string {
	var parts []string
	for i := range len(r.RowsByServer) {
		name := demoServerName(i)
		parts = append(parts, fmt.Sprintf("%s %d", name, r.RowsByServer[name]))
	}
	return strings.Join(parts, ", ")
}
