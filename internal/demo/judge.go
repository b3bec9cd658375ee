package demo

import (
	"slices"
	"sort"
	"time"
)

// ack is one row that a client was told to be written. Times are since the start of the load.
type ack struct {
	id            int64
	invoked, told time.Duration
}

// reign is the time in which a server was primary: from the answer to the switchover that made it so to the request
// for the next one. Between two reigns a row may come from either server.
type reign struct {
	server   uint32
	from, to time.Duration
}

// table is what one server has: the server that wrote each row, by id, 0 where there is no row.
type table struct {
	writers  []uint32
	rows     int
	checksum string
}

func (t table) has(id int64) bool { return id < int64(len(t.writers)) && t.writers[id] != 0 }

// longestGap is the longest time between two consecutive acknowledgements of any clients, of those times that count, and
// when it began.
func longestGap(acks []ack, counts func(from, to time.Duration) bool) (gap, at time.Duration) {
	times := make([]time.Duration, len(acks))
	for i, a := range acks {
		times[i] = a.told
	}
	slices.Sort(times)
	for i := 1; i < len(times); i++ {
		if g := times[i] - times[i-1]; g > gap && counts(times[i-1], times[i]) {
			gap, at = g, times[i-1]
		}
	}
	return gap, at
}

// always counts every time.
func always(_, _ time.Duration) bool { return true }

// betweenReigns tells whether some of the time from from to to was between two reigns: while the role moved.
func betweenReigns(from, to time.Duration, reigns []reign) bool {
	for i := 1; i < len(reigns); i++ {
		if from < reigns[i].from && to > reigns[i-1].to {
			return true
		}
	}
	return false
}

// lost counts the acknowledged rows that at least one server has not.
func lost(acks []ack, tables []table) int {
	n := 0
	for _, a := range acks {
		if slices.ContainsFunc(tables, func(t table) bool { return !t.has(a.id) }) {
			n++
		}
	}
	return n
}

// wrongWriters counts the rows that were written within a reign, but by another server; checked counts all rows that
// were written within one. The reigns are in order of time.
func wrongWriters(acks []ack, reigns []reign, t table) (wrong, checked int) {
	for _, a := range acks {
		i := sort.Search(len(reigns), func(i int) bool { return reigns[i].from > a.invoked }) - 1
		if i < 0 || a.told >= reigns[i].to || !t.has(a.id) {
			continue
		}
		checked++
		if t.writers[a.id] != reigns[i].server {
			wrong++
		}
	}
	return wrong, checked
}
