package demo

import (
	"context"
	"sync"
	"time"
)

// reignPoll is how often the proxy is asked who is primary.
const reignPoll = 200 * time.Millisecond

// Reign is a range of rows that were written while one server was primary without a doubt: each of them began after the
// proxy had said so, and ended before the proxy said so again with the same epoch.
type Reign struct {
	Epoch    uint64
	Primary  string
	from, to int64 // rows from <= id < to
}

// Status is what the proxy says about its cluster. Settled is false while a switchover runs.
type Status struct {
	Epoch   uint64
	Primary string
	Settled bool
}

// Watch follows the reigns of primaries while a load runs.
type Watch struct {
	ask    func(context.Context) (Status, error)
	ledger *Ledger

	mu     sync.Mutex
	last   Status
	reigns []Reign
}

// NewWatch returns a watch that asks the proxy by ask, which must not wait longer than a second or so.
func NewWatch(ask func(context.Context) (Status, error), ledger *Ledger) *Watch {
	return &Watch{ask: ask, ledger: ledger}
}

// Run asks until ctx is done. An answer that fails to come proves nothing and is no error.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(reignPoll)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *Watch) look(ctx context.Context) {
	told := w.ledger.settled()
	st, err := w.ask(ctx)
	if err != nil {
		return
	}
	next := w.ledger.next()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = st
	if !st.Settled || st.Primary == "" {
		return
	}
	if n := len(w.reigns); n > 0 && w.reigns[n-1].Epoch == st.Epoch && w.reigns[n-1].Primary == st.Primary {
		w.reigns[n-1].to = max(w.reigns[n-1].to, told)
		return
	}
	w.reigns = append(w.reigns, Reign{Epoch: st.Epoch, Primary: st.Primary, from: next, to: next})
}

// Last returns the last answer.
func (w *Watch) Last() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Reigns returns the reigns seen up to now.
func (w *Watch) Reigns() []Reign {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Reign(nil), w.reigns...)
}
