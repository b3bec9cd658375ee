package chaos

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// kept is a history that keeps all invariants: a (server_id 101) is killed at 10s, b (102) is primary from 11s on,
// row 900 was acknowledged and lost, and found on a when it came back.
func kept() *History {
	h := &History{
		Flavor: "mariadb", Deposit: 1000, IDs: map[uint32]string{101: "a", 102: "b"}, GTID: true, FinalRun: "running",
		Before: Census{Goroutines: 50, Connections: map[string]int{"a": 10, "b": 10}},
		After:  Census{Goroutines: 55, Connections: map[string]int{"a": 12, "b": 9}},
		Faults: []Fault{
			{Name: "kill the primary", From: 10 * sec, To: 12 * sec, Zombie: true, Budget: 5 * sec, Healthy: 15 * sec},
			{Name: "stall", From: 20 * sec, To: 21 * sec, Harmless: true, Budget: 5 * sec, Healthy: 22 * sec},
		},
		Failovers: []Failover{{
			At: 11 * sec, From: "a", To: "b", Fence: "fenced-by-death", Window: sec, Back: true, Reported: 1,
			Errant: map[int64]Row{900: {7, 101}},
		}},
	}
	rows, transfers, sequence := map[int64]Row{}, map[int64]Move{}, map[int64]int64{}
	for i := range 30 {
		at, server := time.Duration(i)*sec, uint32(101)
		if i >= 10 {
			at, server = at+sec+500*ms, 102
		}
		id := int64(i*10 + 1)
		h.Ops = append(h.Ops,
			Op{Kind: Append, Client: 1, Invoke: at, Told: at + 5*ms, IDs: []int64{id, id + 1}},
			Op{Kind: Transfer, Client: 2, Invoke: at, Told: at + 6*ms, IDs: []int64{id + 2}},
			Op{Kind: Sequence, Client: 3, Invoke: at, Told: at + 7*ms, IDs: []int64{id + 3}, Value: int64(i)},
			Op{Kind: Count, Client: 4, Invoke: at, Told: at + 8*ms, Value: int64(i)},
			Op{Kind: ReadBack, Client: 4, Invoke: at + 9*ms, Told: at + 10*ms, Value: int64(i)},
			Op{Kind: Snapshot, Client: 5, Invoke: at, Told: at + ms, Value: 1000},
		)
		rows[id], rows[id+1], rows[id+3] = Row{1, server}, Row{1, server}, Row{3, server}
		transfers[id+2], sequence[int64(i)] = Move{i % 2, 1 - i%2, 10, Row{2, server}}, id+3
	}
	h.Ops = append(h.Ops,
		Op{Kind: Append, Client: 7, Invoke: 9900 * ms, Told: 9910 * ms, IDs: []int64{900}},
		Op{Kind: Append, Client: 7, Invoke: 10 * sec, Told: 10100 * ms, IDs: []int64{901, 902}, Outcome: Unknown},
		Op{Kind: Append, Client: 7, Invoke: 10 * sec, Told: 10200 * ms, IDs: []int64{903}, Outcome: Fail, Err: "1290"},
	)
	for t := time.Duration(0); t < 32*sec; t += 20 * ms {
		s := Sample{Asked: t, Answered: t + 5*ms, Epoch: 1, Primary: "a", State: "running"}
		if t >= 10*sec {
			s.Epoch, s.Primary, s.State = 2, "", "no_primary"
		}
		if t >= 11*sec {
			s.Primary, s.State = "b", "running"
		}
		h.Samples = append(h.Samples, s)
		for i, name := range []string{"a", "b"} {
			closed := (t >= 10*sec) != (i == 1)
			if t > 10*sec && t < 13*sec && i == 0 {
				continue
			}
			h.Flags = append(h.Flags, Flags{Server: name, Asked: t, Answered: t + 2*ms, ReadOnly: closed, Super: closed})
		}
	}
	for _, name := range []string{"a", "b"} {
		h.Final = append(h.Final, Contents{
			Server: name, Rows: maps.Clone(rows), Transfers: maps.Clone(transfers), Accounts: map[int]int64{0: 500, 1: 500},
			Sequence: maps.Clone(sequence), Checksums: map[string]string{"writes": "1"}, Position: "0-102-9", ReadOnly: name == "a", Super: name == "a",
		})
	}
	return h
}

func TestKeptHistoryPasses(t *testing.T) {
	for _, v := range Check(kept()) {
		t.Error(v)
	}
}

// set changes one operation of a kind.
func set(h *History, k Kind, n int, change func(*Op)) {
	for i := range h.Ops {
		if h.Ops[i].Kind != k {
			continue
		}
		if n == 0 {
			change(&h.Ops[i])
			return
		}
		n--
	}
}

// everywhere changes the final contents of all servers.
func everywhere(h *History, change func(*Contents)) {
	for i := range h.Final {
		change(&h.Final[i])
	}
}

// TestBrokenHistoriesAreRejected breaks one thing at a time; the checker must name the invariant and say what.
func TestBrokenHistoriesAreRejected(t *testing.T) {
	for _, c := range []struct {
		name, invariant, says string
		damage                func(h *History)
	}{
		{"an acknowledged row is lost without a failover", "I1", "no server that was left behind has it", func(h *History) {
			set(h, Append, 3, func(o *Op) { o.IDs = o.IDs[:1] })
			everywhere(h, func(c *Contents) { delete(c.Rows, 31) })
		}},
		{"an acknowledged transfer is lost", "I1", "row 33 of client 2", func(h *History) {
			everywhere(h, func(c *Contents) {
				m := c.Transfers[33]
				delete(c.Transfers, 33)
				c.Accounts[m.From] += m.Amount
				c.Accounts[m.To] -= m.Amount
			})
		}},
		{"a row is lost in semi-sync", "I1", "commits on a waited for b", func(h *History) { h.Failovers[0].SemiSync = true }},
		{"a row is lost although nothing should be", "I1", "was reported to lose nothing", func(h *History) { h.Failovers[0].Exact = true }},
		{"the report counts too few", "I1", "1 rows of its own, 0 were reported", func(h *History) { h.Failovers[0].Reported = 0 }},
		{"the report counts too many", "I1", "1 rows of its own, 2 were reported", func(h *History) { h.Failovers[0].Reported = 2 }},
		{"a row is lost from before the window", "I1", "before the window", func(h *History) {
			set(h, Append, 30, func(o *Op) { o.Invoke, o.Told = 5*sec, 5100*ms })
		}},
		{"two rows got one number", "I1", "were both told the number 5", func(h *History) {
			set(h, Sequence, 6, func(o *Op) { o.Value = 5 })
		}},
		{"a number belongs to another row", "I1", "number 5, told to row 54", func(h *History) {
			everywhere(h, func(c *Contents) { c.Sequence[5] = 64 })
		}},
		{"a failed row is there", "I2", "row 903 of client 7 is there although it failed", func(h *History) {
			everywhere(h, func(c *Contents) { c.Rows[903] = Row{7, 101} })
		}},
		{"a failed row was left behind", "I2", "row 903", func(h *History) {
			h.Failovers[0].Errant[903], h.Failovers[0].Reported = Row{7, 101}, 2
		}},
		{"half a transaction is there", "I2", "1 of the 2 rows of one transaction", func(h *History) {
			everywhere(h, func(c *Contents) { c.Rows[901] = Row{7, 101} })
		}},
		{"a write was executed twice", "I2", "written twice", func(h *History) { set(h, Append, 3, func(o *Op) { o.Twice = true }) }},
		{"a row comes late from the old primary", "I2", "row 41 was not on b at 5s and came there from a later", func(h *History) {
			h.Ops = append(h.Ops, Op{Kind: Presence, Invoke: 5 * sec, Told: 5 * sec, IDs: []int64{41}, Server: 102})
		}},
		{"a row that was seen goes", "I2", "row 77 was on b at 5s and is gone", func(h *History) {
			h.Ops = append(h.Ops, Op{Kind: Presence, Invoke: 5 * sec, Told: 5 * sec, IDs: []int64{77}, Server: 102, Value: 1})
		}},
		{"a standby was written to", "I3", "which was not primary then", func(h *History) {
			everywhere(h, func(c *Contents) { c.Rows[31] = Row{1, 102} })
		}},
		{"the old primary was written to", "I3", "row 201", func(h *History) {
			everywhere(h, func(c *Contents) { c.Rows[201] = Row{1, 101} })
		}},
		{"an unknown server wrote", "I3", "server_id 999", func(h *History) {
			everywhere(h, func(c *Contents) { c.Rows[31] = Row{1, 999} })
		}},
		{"an unanswered row was written by a stranger", "I3", "row 901", func(h *History) {
			everywhere(h, func(c *Contents) { c.Rows[901], c.Rows[902] = Row{7, 102}, Row{7, 102} })
		}},
		{"one epoch has two primaries", "I3", "epoch 2 has two primaries", func(h *History) {
			h.Samples = append(h.Samples, Sample{Asked: 33 * sec, Answered: 33 * sec, Epoch: 2, Primary: "a", State: "running"})
		}},
		{"the epoch goes back", "I3", "epoch 1 follows epoch 2", func(h *History) {
			h.Samples = append(h.Samples, Sample{Asked: 33 * sec, Answered: 33 * sec, Epoch: 1, Primary: "a", State: "running"})
		}},
		{"nothing was published", "I3", "never published", func(h *History) { h.Samples, h.Faults = nil, nil }},
		{"checksums differ", "I4", "checksums of a and b", func(h *History) { h.Final[1].Checksums = map[string]string{"writes": "2"} }},
		{"positions differ", "I4", "b at 0-101-9", func(h *History) { h.Final[1].Position = "0-101-9" }},
		{"nobody is writable at the end", "I4", "0 servers", func(h *History) { h.Final[1].ReadOnly, h.Final[1].Super = true, true }},
		{"both are writable at the end", "I4", "2 servers", func(h *History) { h.Final[0].ReadOnly, h.Final[0].Super = false, false }},
		{"a counter goes back", "I5", "client 4 read 3", func(h *History) { set(h, ReadBack, 5, func(o *Op) { o.Value = 3 }) }},
		{"a read after a failover without loss goes back", "I5", "client 4 read 8", func(h *History) {
			h.Failovers = nil
			h.Ops = h.Ops[:len(h.Ops)-3]
			set(h, ReadBack, 10, func(o *Op) { o.Value = 8 })
		}},
		{"money is lost", "I6", "accounts on a", func(h *History) { h.Final[0].Accounts[0]-- }},
		{"half a transfer is there", "I6", "accounts on b", func(h *History) {
			h.Final[1].Accounts[0] += 10
		}},
		{"a snapshot sees half a transfer", "I6", "a sum of 990", func(h *History) { set(h, Snapshot, 3, func(o *Op) { o.Value = 990 }) }},
		{"both are writable amid a run", "I8", "a and b are both writable", func(h *History) { writableAt(h, "b", 5*sec, 6*sec) }},
		{"both are writable for a moment", "I8", "both writable", func(h *History) { writableAt(h, "b", 5*sec, 5*sec) }},
		{"an old primary stays writable", "I8", "both writable", func(h *History) { writableAt(h, "a", 13*sec, 19*sec) }},
		{"an old primary becomes writable", "I8", "both writable", func(h *History) { writableAt(h, "a", 25*sec, 26*sec) }},
		{"a fence stays half", "I9", "b is half fenced from", func(h *History) { halfAt(h, "b", 2*sec, 8*sec) }},
		{"a fence is half at the end", "I9", "half fenced at the end", func(h *History) { h.Final[0].ReadOnly = false }},
		{"writes do not come back", "I10", "the next write was acknowledged", func(h *History) { h.Faults[1].Budget = 100 * ms }},
		{"writes never come back", "I10", "never", func(h *History) { h.Faults[1].To, h.Faults[1].Healthy = 60*sec, 61*sec }},
		{"the cluster stays broken", "I10", "did not become whole", func(h *History) { h.Faults[0].Healthy = 0 }},
		{"the end is degraded", "I10", "degraded", func(h *History) { h.FinalRun = "degraded" }},
		{"a harmless fault causes a failover", "I11", "caused a failover", func(h *History) { h.Faults[0].Harmless = true }},
		{"a harmless fault moves the role", "I11", "moved the role from a (epoch 1) to b (epoch 2)", func(h *History) {
			h.Faults[0].Harmless, h.Failovers[0].At = true, 9*sec
		}},
		{"an unfit standby is promoted", "I12", "b was promoted", func(h *History) { h.Faults[0].NoCandidate = true }},
		{"goroutines leak", "I13", "200 goroutines", func(h *History) { h.After.Goroutines = 200 }},
		{"connections leak", "I13", "52 connections on the servers", func(h *History) { h.After.Connections["b"] = 40 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := kept()
			c.damage(h)
			wantViolation(t, Check(h), c.invariant, c.says)
		})
	}
}

func wantViolation(t *testing.T, got []Violation, invariant, says string) {
	t.Helper()
	found := false
	for _, v := range got {
		found = found || v.Invariant == invariant && strings.Contains(v.What, says)
	}
	if !found {
		t.Errorf("no %s that says %q in %v", invariant, says, got)
	}
}

func writableAt(h *History, server string, from, to time.Duration) {
	for i, f := range h.Flags {
		if f.Server == server && f.Asked >= from && f.Asked <= to {
			h.Flags[i].ReadOnly, h.Flags[i].Super = false, false
		}
	}
}

func halfAt(h *History, server string, from, to time.Duration) {
	for i, f := range h.Flags {
		if f.Server == server && f.Asked >= from && f.Asked <= to {
			h.Flags[i].ReadOnly, h.Flags[i].Super = false, true
		}
	}
}

// TestOutOfReachIsNoViolation: what the rules allow an old primary that cannot be reached.
func TestOutOfReachIsNoViolation(t *testing.T) {
	h := kept()
	writableAt(h, "a", 10*sec, 16*sec)
	for i := range h.Flags {
		if f := &h.Flags[i]; f.Server == "b" && f.Asked > 11*sec {
			f.ReadOnly, f.Super = false, false
		}
	}
	for _, v := range Check(h) {
		t.Error(v)
	}
}

func TestManyViolationsAreCut(t *testing.T) {
	h := kept()
	everywhere(h, func(c *Contents) { c.Rows = nil })
	counts := map[string]int{}
	for _, v := range Check(h) {
		counts[v.Invariant]++
	}
	if counts["I1"] > 2*maxOfEach+2 || counts["I1"] < maxOfEach {
		t.Error(fmt.Sprint(counts))
	}
}
