package chaos

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Violation is one invariant that a history breaks.
type Violation struct {
	Invariant string // I1 to I13
	What      string
}

// String gives both.
func (v Violation) String() string { return v.Invariant + ": " + v.What }

// maxOfEach bounds how many violations of one kind are told.
const maxOfEach = 10

// Check judges a history. No violations means that it kept all invariants that it has data for.
func Check(h *History) []Violation {
	var out []Violation
	for _, check := range []func(*History) []Violation{
		checkAcknowledged, checkReported, checkOutcomes, checkReigns, checkEqual, checkCounters, checkSequence, checkBank,
		checkSnapshots, checkWritable, checkHalf, checkRecovery, checkFalseAlarms, checkCandidates, checkCensus,
	} {
		found := check(h)
		if more := len(found) - maxOfEach; more > 0 {
			found = append(found[:maxOfEach], Violation{found[0].Invariant, fmt.Sprintf("and %d more", more)})
		}
		out = append(out, found...)
	}
	return out
}

func broken(invariant, format string, args ...any) Violation {
	return Violation{invariant, fmt.Sprintf(format, args...)}
}

// writes calls fn for each row that a client tried to write.
func (h *History) writes(fn func(op Op, id int64)) {
	for _, op := range h.Ops {
		if op.Kind == Append || op.Kind == Transfer || op.Kind == Sequence {
			for _, id := range op.IDs {
				fn(op, id)
			}
		}
	}
}

// present tells whether a row is on a server at the end, in the table of its kind.
func (c Contents) present(k Kind, id int64) (Row, bool) {
	switch k {
	case Transfer:
		m, ok := c.Transfers[id]
		return m.Row, ok
	case Append, Sequence, Count, ReadBack, Snapshot, Presence:
		r, ok := c.Rows[id]
		return r, ok
	default:
		return Row{}, false
	}
}

// errant are the rows that were left behind on old primaries, with the failover that left them.
func (h *History) errant() map[int64]*Failover {
	out := map[int64]*Failover{}
	for i := range h.Failovers {
		for id := range h.Failovers[i].Errant {
			out[id] = &h.Failovers[i]
		}
	}
	return out
}

// lossSlack is added to the window of a reported loss: a row is told before the proxy sees the last sign of life.
const lossSlack = 500 * time.Millisecond

// checkAcknowledged is I1: what was acknowledged is there, except after an asynchronous failover, and then it was on
// the old primary, and from the window that was reported.
func checkAcknowledged(h *History) []Violation {
	var out []Violation
	errant := h.errant()
	h.writes(func(op Op, id int64) {
		if op.Outcome != OK {
			return
		}
		for _, c := range h.Final {
			if _, ok := c.present(op.Kind, id); ok {
				continue
			}
			if v, bad := h.excused(op, id, errant[id]); bad {
				v.What = fmt.Sprintf("%s on %s", v.What, c.Server)
				out = append(out, v)
				return
			}
		}
	})
	return out
}

// excused says why an acknowledged row must not be missing.
func (h *History) excused(op Op, id int64, f *Failover) (Violation, bool) {
	row := fmt.Sprintf("acknowledged row %d of client %d, told at %s, is missing", id, op.Client, op.Told)
	if f == nil {
		if h.unseen(op) {
			return Violation{}, false
		}
		return broken("I1", "%s, and no server that was left behind has it", row), true
	}
	if f.SemiSync {
		return broken("I1", "%s although commits on %s waited for %s", row, f.From, f.To), true
	}
	if f.Exact && f.AtLeast == 0 {
		return broken("I1", "%s although the failover from %s was reported to lose nothing", row, f.From), true
	}
	return Violation{}, false
}

// unseen tells whether the row may have been lost with an old primary that was never examined: its data were replaced.
func (h *History) unseen(op Op) bool {
	for _, f := range h.Failovers {
		if !f.Back && !f.SemiSync && op.Told < f.At && op.Told > f.At-time.Minute {
			return true
		}
	}
	return false
}

// checkReported is I1's other half: what the proxy reports about an old primary that came back is what was lost.
func checkReported(h *History) []Violation {
	var out []Violation
	told := map[int64]time.Duration{}
	h.writes(func(op Op, id int64) {
		if op.Outcome == OK {
			told[id] = op.Told
		}
	})
	for _, f := range h.Failovers {
		if f.Back && f.Reported != len(f.Errant) {
			out = append(out, broken("I1", "%s came back with %d rows of its own, %d were reported", f.From, len(f.Errant), f.Reported))
		}
		if f.Window < 0 {
			continue
		}
		for id := range f.Errant {
			if at, ok := told[id]; ok && at < f.At-f.Window-h.outage(f)-lossSlack {
				out = append(out, broken("I1", "lost row %d was told at %s, before the window of %s that was reported for the failover from %s at %s", id, at, f.Window, f.From, f.At))
			}
		}
	}
	return out
}

// outage is the time from the fault that a failover answered to the failover itself.
func (h *History) outage(f Failover) time.Duration {
	longest := time.Duration(0)
	for _, x := range h.Faults {
		if x.From < f.At {
			longest = f.At - x.From
		}
	}
	return longest
}

// checkOutcomes is I2: what failed is nowhere, what is unknown is everywhere or nowhere, nothing was done twice.
func checkOutcomes(h *History) []Violation {
	var out []Violation
	errant := h.errant()
	h.writes(func(op Op, id int64) {
		if op.Twice {
			out = append(out, broken("I2", "row %d of client %d was written twice", id, op.Client))
		}
		on := h.holders(op.Kind, id)
		if op.Outcome == Fail && (len(on) > 0 || errant[id] != nil) {
			out = append(out, broken("I2", "row %d of client %d is there although it failed at %s: %s", id, op.Client, op.Told, op.Err))
		}
		if op.Outcome == Unknown && len(on) > 0 && len(on) < len(h.Final) {
			out = append(out, broken("I2", "row %d of unknown outcome is on %v only", id, on))
		}
	})
	return append(append(out, checkWhole(h)...), checkLate(h)...)
}

// checkLate is I2 for ever: a row that was not on the primary must not come there from another server later, and one
// that was there must not go.
func checkLate(h *History) []Violation {
	var out []Violation
	errant := h.errant()
	for _, op := range h.Ops {
		if op.Kind != Presence || op.Outcome != OK || len(h.Final) == 0 {
			continue
		}
		row, there := h.Final[0].present(Append, op.IDs[0])
		if op.Value == 0 && there && row.Server != op.Server {
			out = append(out, broken("I2", "row %d was not on %s at %s and came there from %s later", op.IDs[0], h.IDs[op.Server], op.Told, h.IDs[row.Server]))
		}
		if op.Value == 1 && !there && errant[op.IDs[0]] == nil && !h.unseen(op) {
			out = append(out, broken("I2", "row %d was on %s at %s and is gone", op.IDs[0], h.IDs[op.Server], op.Told))
		}
	}
	return out
}

func (h *History) holders(k Kind, id int64) []string {
	var on []string
	for _, c := range h.Final {
		if _, ok := c.present(k, id); ok {
			on = append(on, c.Server)
		}
	}
	return on
}

// checkWhole is I2 for transactions: all rows of one are there, or none.
func checkWhole(h *History) []Violation {
	var out []Violation
	for _, op := range h.Ops {
		if op.Kind != Append || len(op.IDs) < 2 {
			continue
		}
		for _, c := range h.Final {
			there := 0
			for _, id := range op.IDs {
				if _, ok := c.present(op.Kind, id); ok {
					there++
				}
			}
			if there != 0 && there != len(op.IDs) {
				out = append(out, broken("I2", "%d of the %d rows of one transaction (%d...) are on %s", there, len(op.IDs), op.IDs[0], c.Server))
			}
		}
	}
	return out
}

// checkEqual is I4: the servers have the same rows and the same history, and only the primary is writable.
func checkEqual(h *History) []Violation {
	var out []Violation
	writable := 0
	for _, c := range h.Final {
		if !c.ReadOnly && !c.Super {
			writable++
		}
		first := h.Final[0]
		for id := range first.Rows {
			if _, ok := c.Rows[id]; !ok {
				out = append(out, broken("I4", "row %d is on %s and not on %s", id, first.Server, c.Server))
			}
		}
		for id := range c.Rows {
			if _, ok := first.Rows[id]; !ok {
				out = append(out, broken("I4", "row %d is on %s and not on %s", id, c.Server, first.Server))
			}
		}
		if !maps.Equal(c.Checksums, first.Checksums) {
			out = append(out, broken("I4", "checksums of %s and %s differ: %v, %v", first.Server, c.Server, first.Checksums, c.Checksums))
		}
		if h.GTID && c.Position != first.Position {
			out = append(out, broken("I4", "%s is at %s, %s at %s", first.Server, first.Position, c.Server, c.Position))
		}
	}
	if len(h.Final) > 0 && writable != 1 {
		out = append(out, broken("I4", "%d servers are writable at the end", writable))
	}
	return out
}

// checkCounters is I5: a client never sees its counter go back, on the primary, except behind an asynchronous failover.
func checkCounters(h *History) []Violation {
	var out []Violation
	type seen struct {
		value int64
		told  time.Duration
	}
	last := map[int]seen{}
	ops := slices.Clone(h.Ops)
	slices.SortStableFunc(ops, func(a, b Op) int { return int(a.Told - b.Told) })
	for _, op := range ops {
		if op.Outcome != OK || op.Kind != Count && op.Kind != ReadBack {
			continue
		}
		was := last[op.Client]
		if op.Kind == ReadBack && op.Value < was.value && op.Invoke >= was.told && !h.lostBetween(was.told, op.Told) {
			out = append(out, broken("I5", "client %d read %d at %s after it was told %d at %s", op.Client, op.Value, op.Told, was.value, was.told))
		}
		last[op.Client] = seen{op.Value, op.Told}
	}
	return out
}

// lostBetween tells whether a failover that may lose something lies between two moments, or near.
func (h *History) lostBetween(from, to time.Duration) bool {
	for _, f := range h.Failovers {
		if !f.SemiSync && (!f.Exact || f.AtLeast > 0) && f.At > from-time.Second && f.At-h.outage(f) < to+time.Second {
			return true
		}
	}
	return false
}

// checkSequence is part of I1: no two acknowledged rows got the same number, and each has its own.
func checkSequence(h *History) []Violation {
	var out []Violation
	holder := map[int64]int64{}
	errant := h.errant()
	for _, op := range h.Ops {
		if op.Kind != Sequence || op.Outcome != OK || errant[op.IDs[0]] != nil {
			continue
		}
		if other, ok := holder[op.Value]; ok && other != op.IDs[0] {
			out = append(out, broken("I1", "rows %d and %d were both told the number %d", other, op.IDs[0], op.Value))
		}
		holder[op.Value] = op.IDs[0]
		for _, c := range h.Final {
			if id, ok := c.Sequence[op.Value]; ok && id != op.IDs[0] && !h.unseen(op) {
				out = append(out, broken("I1", "number %d, told to row %d, belongs to row %d on %s", op.Value, op.IDs[0], id, c.Server))
			}
		}
	}
	return out
}

// checkBank is I6 at the end: each account holds what the transfers that are there say.
func checkBank(h *History) []Violation {
	var out []Violation
	for _, c := range h.Final {
		want := map[int]int64{}
		for a := range c.Accounts {
			want[a] = h.Deposit / int64(len(c.Accounts))
		}
		for _, m := range c.Transfers {
			want[m.From] -= m.Amount
			want[m.To] += m.Amount
		}
		if !maps.Equal(want, c.Accounts) {
			out = append(out, broken("I6", "accounts on %s hold %v, the transfers make %v", c.Server, c.Accounts, want))
		}
	}
	return out
}

// checkSnapshots is I6 meanwhile: every sum that a client saw is the deposit.
func checkSnapshots(h *History) []Violation {
	var out []Violation
	for _, op := range h.Ops {
		if op.Kind == Snapshot && op.Outcome == OK && op.Value != h.Deposit {
			out = append(out, broken("I6", "client %d saw a sum of %d at %s, not %d", op.Client, op.Value, op.Told, h.Deposit))
		}
	}
	return out
}

// total is the number of connections on all servers: they move with the primary role.
func (c Census) total() int {
	n := 0
	for _, more := range c.Connections {
		n += more
	}
	return n
}

// checkCensus is I13: connections and goroutines come back to where they were.
func checkCensus(h *History) []Violation {
	var out []Violation
	if limit := h.Before.Goroutines*3/2 + 20; h.Before.Goroutines > 0 && h.After.Goroutines > limit {
		out = append(out, broken("I13", "%d goroutines at the end, %d at the start", h.After.Goroutines, h.Before.Goroutines))
	}
	if before, after := h.Before.total(), h.After.total(); before > 0 && after > before+10 {
		out = append(out, broken("I13", "%d connections on the servers at the end, %d at the start: %v, %v", after, before, h.After.Connections, h.Before.Connections))
	}
	return out
}
