package demo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// story tells people what happens. Only on a terminal it has a line that is written over.
type story struct {
	w        io.Writer
	terminal bool
	live     bool // a line is there that will be written over
}

// print writes whole lines. A writer that fails, as a closed pipe does, is no reason to stop before the cleaning up.
func (s *story) print(format string, args ...any) {
	s.wipe()
	_, _ = fmt.Fprintf(s.w, format+"\n", args...)
}

// now shows what is going on, on a terminal only.
func (s *story) now(format string, args ...any) {
	if s.terminal {
		_, _ = fmt.Fprintf(s.w, "\r\x1b[K  ..  "+format, args...)
		s.live = true
	}
}

// wipe takes the line of now away.
func (s *story) wipe() {
	if s.live {
		_, _ = io.WriteString(s.w, "\r\x1b[K")
		s.live = false
	}
}

// stepWidth is where the times of steps stand.
const stepWidth = 95

func (s *story) done(took time.Duration, format string, args ...any) {
	s.print("  ok  %-*s %6.2f s", stepWidth, fmt.Sprintf(format, args...), took.Seconds())
}

func (s *story) failed(format string, args ...any) { s.print("  !!  "+format, args...) }

func (s *story) note(format string, args ...any) { s.print("      "+format, args...) }

func (s *story) title(o Options) {
	s.print("Onewriter demo: the primary role moves between two %s servers while clients write\n", product(o.Flavor, ""))
}

// move tells of a switchover; in detail with the time of each step.
func (s *story) move(at time.Duration, m api.Switchover, detail bool) {
	text := fmt.Sprintf("switchover %s -> %s: writes waited %.1f ms, %d sessions moved", m.From, m.To, m.PauseMS, m.SessionsMoved)
	if n := len(m.SessionsClosed); n > 0 {
		text += fmt.Sprintf(", %d closed", n)
	}
	s.print("  ok  %-*s at %4.1f s", stepWidth-1, text, at.Seconds())
	for _, w := range m.Warnings {
		s.note("warning: %s", w)
	}
	if !detail {
		return
	}
	line := ""
	for i, p := range m.Phases {
		step := fmt.Sprintf("%s %.1f ms", p.Name, p.MS)
		switch {
		case i == 0:
			line = step
		case len(line)+len(step) > stepWidth-10:
			s.note("    %s", line)
			line = step
		default:
			line += ", " + step
		}
	}
	s.note("    %s", line)
}

// result prints the table with a mark at each line that is part of the promise.
func (s *story) result(r Result) {
	s.print("\nResult after %.0f s of load", r.Seconds)
	line := func(ok bool, what, value, remark string) {
		mark := "ok"
		if !ok {
			mark = "!!"
		}
		s.print("  %s  %-22s %12s   %s", mark, what, value, remark)
	}
	line(r.Acknowledged > 0, "writes acknowledged", thousands(r.Acknowledged), fmt.Sprintf("%.0f rows per second", float64(r.Acknowledged)/max(r.Seconds, 0.001)))
	line(r.Lost == 0, "lost", thousands(r.Lost), "acknowledged rows that are not on both servers")
	line(r.ClientErrors == 0, "client errors", thousands(r.ClientErrors), fmt.Sprintf("of writers and readers, who read %s times; %d had to reconnect", thousands(r.Reads), r.Reconnects))
	line(r.Switchovers > 0, "switchovers", thousands(r.Switchovers), pausesOf(r))
	line(true, "longest pause", fmt.Sprintf("%.1f ms", r.LongestPauseMS), pauseRemark(r))
	line(r.rowsEqual(), "rows on a and b", thousands(r.Rows["a"]), same(r.rowsEqual(), "b has "+thousands(r.Rows["b"]))+fmt.Sprintf("; %s written by a, %s by b", thousands(r.WrittenBy["a"]), thousands(r.WrittenBy["b"])))
	line(r.WrongWriter == 0, "by the wrong server", thousands(r.WrongWriter), "rows written by a server that was not the primary then")
	line(r.ChecksumsEqual, "table checksum", r.Checksums["a"], same(r.ChecksumsEqual, "b has "+r.Checksums["b"]))
	line(r.Primary != "", "primary now", r.Primary, "clients never had to know")
	for _, e := range r.Errors {
		s.failed("%s", e)
	}
	if r.PromiseHeld {
		s.print("\nThe promise held: no write was lost, no client saw an error.")
	} else {
		s.print("\nThe promise did NOT hold.")
	}
}

func pauseRemark(r Result) string {
	if r.LongestPauseInSwitchover {
		return fmt.Sprintf("between two acknowledged writes of any clients, over a switchover, from %.1f s on", r.LongestPauseAtS)
	}
	return fmt.Sprintf("between two acknowledged writes, at %.1f s; %.1f ms in a switchover", r.LongestPauseAtS, r.LongestSwitchoverPauseMS)
}

func pausesOf(r Result) string {
	pauses := make([]string, len(r.PausesMS))
	for i, p := range r.PausesMS {
		pauses[i] = strconv.FormatFloat(p, 'f', 1, 64)
	}
	if len(pauses) > 8 {
		pauses = append(pauses[:8:8], "...")
	}
	text := "writes waited " + strings.Join(pauses, ", ") + " ms"
	if r.SwitchoversFailed > 0 {
		text += fmt.Sprintf("; %d more were refused or undone", r.SwitchoversFailed)
	}
	return text
}

func same(equal bool, otherwise string) string {
	if equal {
		return "the same on both"
	}
	return otherwise
}

// product names the server software.
func product(f mysqltest.Flavor, version string) string {
	name := "MariaDB"
	if f == mysqltest.MySQL {
		name = "MySQL"
	}
	if number, _, _ := strings.Cut(version, "-"); number != "" {
		name += " " + number
	}
	return name
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
