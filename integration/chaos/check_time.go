package chaos

import (
	"fmt"
	"slices"
	"time"
)

// reign is the longest time in which a server may have been the published primary of one epoch.
type reign struct {
	epoch    uint64
	server   string
	from, to time.Duration
}

// forever ends the last reign.
const forever = time.Duration(1<<63 - 1)

// reigns reads the epochs out of the samples. A reign may begin as soon as the last sample without it was asked for, and
// ends at the latest when the first one of a later epoch, or without a primary, was answered.
func (h *History) reigns() []reign {
	var out []reign
	asked := time.Duration(0)
	for _, s := range h.Samples {
		last := len(out) - 1
		same := last >= 0 && out[last].epoch == s.Epoch && out[last].server == s.Primary && out[last].to == forever
		if !same {
			if last >= 0 && out[last].to == forever {
				out[last].to = s.Answered
			}
			if s.Primary != "" {
				out = append(out, reign{s.Epoch, s.Primary, asked, forever})
			}
		}
		asked = s.Asked
	}
	return out
}

// checkReigns is I3 and I7: each row was executed by a server that was the published primary at a time between its
// request and its answer. A row whose answer never came may have been executed at any time until the end of the reign
// in which it was sent; what was left behind on an old primary counts as well.
func checkReigns(h *History) []Violation {
	reigns := h.reigns()
	if len(reigns) == 0 {
		return []Violation{broken("I3", "the proxy never published a primary")}
	}
	out := checkEpochs(reigns)
	rows := map[int64]Row{}
	for _, c := range h.Final {
		for id, r := range c.Rows {
			rows[id] = r
		}
		for id, m := range c.Transfers {
			rows[id] = m.Row
		}
	}
	for _, f := range h.Failovers {
		for id, r := range f.Errant {
			rows[id] = r
		}
	}
	h.writes(func(op Op, id int64) {
		row, ok := rows[id]
		if !ok {
			return
		}
		name, known := h.IDs[row.Server]
		if !known || !ruled(reigns, name, op.Invoke, op.Told) {
			out = append(out, broken("I3", "row %d (%s, %s to %s) was executed on %s (server_id %d), which was not primary then", id, op.Outcome, op.Invoke, op.Told, name, row.Server))
		}
	})
	return out
}

func ruled(reigns []reign, server string, from, to time.Duration) bool {
	return slices.ContainsFunc(reigns, func(r reign) bool { return r.server == server && r.from <= to && r.to >= from })
}

// checkEpochs is I3 for the epochs themselves: they never go back, and none has two primaries.
func checkEpochs(reigns []reign) []Violation {
	var out []Violation
	primary := map[uint64]string{}
	for i, r := range reigns {
		if i > 0 && r.epoch < reigns[i-1].epoch {
			out = append(out, broken("I3", "epoch %d follows epoch %d", r.epoch, reigns[i-1].epoch))
		}
		if was, ok := primary[r.epoch]; ok && was != r.server {
			out = append(out, broken("I3", "epoch %d has two primaries, %s and %s", r.epoch, was, r.server))
		}
		primary[r.epoch] = r.server
	}
	return out
}

// zombieGrace is how long after the end of a fault that hid it an old primary may still be writable: until it is
// probed and fenced.
const zombieGrace = 5 * time.Second

// checkWritable is I8: no two servers are writable at the same moment, except an old primary that was out of reach.
func checkWritable(h *History) []Violation {
	var out []Violation
	spans := h.writableSpans()
	for i, a := range spans {
		for _, b := range spans[i+1:] {
			from, to := max(a.from, b.from), min(a.to, b.to)
			if a.server == b.server || from > to || h.hidden(from, to) {
				continue
			}
			out = append(out, broken("I8", "%s and %s are both writable from %s to %s", a.server, b.server, from, to))
		}
	}
	return out
}

// span is a time in which a server was certainly writable, and said so at both ends.
type span struct {
	server   string
	from, to time.Duration
}

func (h *History) writableSpans() []span {
	var out []span
	open := map[string]int{} // server: its span that goes on
	for _, f := range h.Flags {
		i, ok := open[f.Server]
		switch {
		case !f.Writable():
			delete(open, f.Server)
		case ok:
			out[i].to = f.Asked
		default:
			open[f.Server] = len(out)
			out = append(out, span{f.Server, f.Answered, f.Answered})
		}
	}
	return slices.DeleteFunc(out, func(s span) bool { return s.from > s.to })
}

// hidden tells whether a fault explains that an old primary is writable during all of that time.
func (h *History) hidden(from, to time.Duration) bool {
	return slices.ContainsFunc(h.Faults, func(f Fault) bool { return f.Zombie && f.From <= from && to <= f.To+zombieGrace })
}

// halfLimit is for how long a fence may be pending: its budget and the time to undo it.
const halfLimit = 5 * time.Second

// checkHalf is I9: no server stays between open and closed (read_only=0, super_read_only=1).
func checkHalf(h *History) []Violation {
	var out []Violation
	since := map[string]time.Duration{}
	told := map[string]bool{}
	for _, f := range h.Flags {
		if f.ReadOnly || !f.Super {
			delete(since, f.Server)
			delete(told, f.Server)
			continue
		}
		from, ok := since[f.Server]
		if !ok {
			since[f.Server] = f.Answered
		} else if f.Asked-from > halfLimit && !told[f.Server] && !h.disturbed(from, f.Asked) {
			told[f.Server] = true
			out = append(out, broken("I9", "%s is half fenced from %s to %s", f.Server, from, f.Asked))
		}
	}
	for _, c := range h.Final {
		if c.Super && !c.ReadOnly {
			out = append(out, broken("I9", "%s is half fenced at the end", c.Server))
		}
	}
	return out
}

// disturbed tells whether a fault was going on in that time.
func (h *History) disturbed(from, to time.Duration) bool {
	return slices.ContainsFunc(h.Faults, func(f Fault) bool { return f.From < to && f.To > from && !f.Planned })
}

// checkRecovery is I10: after each fault writes are acknowledged again, and the cluster becomes whole, in time.
func checkRecovery(h *History) []Violation {
	var out []Violation
	var acks []time.Duration
	for _, op := range h.Ops {
		if op.Outcome == OK && op.Kind == Append {
			acks = append(acks, op.Told)
		}
	}
	slices.Sort(acks)
	for _, f := range h.Faults {
		i, _ := slices.BinarySearch(acks, f.To)
		if i == len(acks) || acks[i] > f.To+f.Budget {
			next := "never"
			if i < len(acks) {
				next = fmt.Sprintf("%s later", acks[i]-f.To)
			}
			out = append(out, broken("I10", "after %s (%s to %s) the next write was acknowledged %s, not within %s", f.Name, f.From, f.To, next, f.Budget))
		}
		if f.Healthy == 0 {
			out = append(out, broken("I10", "after %s (%s to %s) the cluster did not become whole", f.Name, f.From, f.To))
		}
	}
	if h.FinalRun != "running" {
		out = append(out, broken("I10", "the state at the end is %s", h.FinalRun))
	}
	return out
}

// checkFalseAlarms is I11: nothing moves the primary role when nobody asked and the primary lives.
func checkFalseAlarms(h *History) []Violation {
	var out []Violation
	for _, f := range h.Faults {
		if !f.Harmless {
			continue
		}
		end := max(f.To, f.Healthy)
		before, after := h.primaryAt(f.From), h.primaryAt(end)
		if before.Primary != after.Primary {
			out = append(out, broken("I11", "%s (%s to %s) moved the role from %s (epoch %d) to %s (epoch %d)", f.Name, f.From, f.To, before.Primary, before.Epoch, after.Primary, after.Epoch))
		}
		for _, m := range h.Failovers {
			if m.At > f.From && m.At < end {
				out = append(out, broken("I11", "%s (%s to %s) caused a failover from %s at %s", f.Name, f.From, f.To, m.From, m.At))
			}
		}
	}
	return out
}

// primaryAt is the last sample before a moment that names a primary.
func (h *History) primaryAt(at time.Duration) Sample {
	var last Sample
	for _, s := range h.Samples {
		if s.Answered > at {
			break
		}
		if s.Primary != "" {
			last = s
		}
	}
	return last
}

// checkCandidates is I12: nothing is promoted while no standby is fit for it.
func checkCandidates(h *History) []Violation {
	var out []Violation
	for _, f := range h.Faults {
		for _, m := range h.Failovers {
			if f.NoCandidate && m.At > f.From && m.At < f.To {
				out = append(out, broken("I12", "%s was promoted at %s amid %s (%s to %s)", m.To, m.At, f.Name, f.From, f.To))
			}
		}
	}
	return out
}
