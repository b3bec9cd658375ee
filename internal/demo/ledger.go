package demo

import (
	"sync"
	"time"
)

// errorSamples is how many texts of client errors are kept.
const errorSamples = 5

// Ledger is what the clients were told: which rows are acknowledged, how long nobody was told anything, and what went
// wrong. Rows are numbered from 1 in the order in which their writes began.
type Ledger struct {
	mu      sync.Mutex
	last    int64         // the highest number given out
	pending map[int]int64 // the lowest number of each client's unfinished write
	acked   bitset
	told    time.Time // the last acknowledgement
	window  time.Duration
	stats   Stats
}

// Stats are a ledger's sums.
type Stats struct {
	Acknowledged int64         // rows
	Reads        int64         // queries answered
	Errors       int64         // errors of clients, wrong answers included
	Samples      []string      // the first texts of Errors
	Longest      time.Duration // the longest time between two acknowledgements, whoever got them
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{pending: map[int]int64{}} }

// begin gives client the numbers of n rows, first and up, that it is about to write.
func (l *Ledger) begin(client, n int) (first int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = l.last + 1
	l.last += int64(n)
	l.pending[client] = first
	return first
}

// acknowledge notes that client was told that its rows are written.
func (l *Ledger) acknowledge(client int, first int64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.told.IsZero() {
		gap := now.Sub(l.told)
		l.window = max(l.window, gap)
		l.stats.Longest = max(l.stats.Longest, gap)
	}
	l.told = now
	for id := first; id < first+int64(n); id++ {
		l.acked.set(id)
	}
	l.stats.Acknowledged += int64(n)
	delete(l.pending, client)
}

// fail notes an error of a client; its unfinished write, if any, has an unknown outcome.
func (l *Ledger) fail(client int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pending, client)
	l.stats.Errors++
	if len(l.stats.Samples) < errorSamples {
		l.stats.Samples = append(l.stats.Samples, err.Error())
	}
}

func (l *Ledger) read() {
	l.mu.Lock()
	l.stats.Reads++
	l.mu.Unlock()
}

// someAcknowledged returns a row that is acknowledged and recent, 0 when there is none.
func (l *Ledger) someAcknowledged() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := l.last; id > 0 && id > l.last-1000; id-- {
		if l.acked.has(id) {
			return id
		}
	}
	return 0
}

// Stats returns the sums up to now.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Samples = append([]string(nil), s.Samples...)
	return s
}

// Window returns the longest time between two acknowledgements since it was called last.
func (l *Ledger) Window() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.window
	l.window = 0
	return w
}

// settled returns the number below which no write is under way.
func (l *Ledger) settled() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	low := l.last + 1
	for _, id := range l.pending {
		low = min(low, id)
	}
	return low
}

// next returns the number that the next write gets.
func (l *Ledger) next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last + 1
}

// missing counts the acknowledged rows that are not in rows.
func (l *Ledger) missing(rows *bitset) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for id := int64(1); id <= l.last; id++ {
		if l.acked.has(id) && !rows.has(id) {
			n++
		}
	}
	return n
}

// bitset is a set of small numbers.
type bitset struct{ words []uint64 }

func (b *bitset) set(id int64) {
	w := int(id / 64)
	for len(b.words) <= w {
		b.words = append(b.words, 0)
	}
	b.words[w] |= 1 << (id % 64)
}

func (b *bitset) has(id int64) bool {
	w := int(id / 64)
	return w < len(b.words) && b.words[w]&(1<<(id%64)) != 0
}
