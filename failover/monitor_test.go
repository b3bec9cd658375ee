package failover

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// watcher is a Monitor for tests: it asks each server for its flags at short intervals.
type watcher struct {
	instances []topology.Instance
	dbs       map[string]*sql.DB

	mu      sync.Mutex
	last    *topology.Snapshot
	subs    []chan *topology.Snapshot
	primary topology.Primary
}

var _ Monitor = (*watcher)(nil)

func (w *watcher) Snapshot() *topology.Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func (w *watcher) Subscribe() (<-chan *topology.Snapshot, func()) {
	ch := make(chan *topology.Snapshot, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs = append(w.subs, ch)
	return ch, func() {}
}

func (w *watcher) SetPrimary(p topology.Primary) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.primary = p
}

// run probes until ctx is done.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		snap := &topology.Snapshot{At: time.Now()}
		for _, i := range w.instances {
			snap.Servers = append(snap.Servers, w.probe(ctx, i))
		}
		w.mu.Lock()
		w.last = snap
		for _, ch := range w.subs {
			select {
			case <-ch:
			default:
			}
			ch <- snap
		}
		w.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
	}
}

func (w *watcher) probe(ctx context.Context, i topology.Instance) topology.Observation {
	o := topology.Observation{Instance: i, At: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	d, err := flavor.Detect(ctx, w.dbs[i.Name])
	if err == nil {
		o.Facts, err = d.Observe(ctx, w.dbs[i.Name])
	}
	o.Class = topology.ClassOK
	if err != nil {
		o.Class, o.Err = topology.ClassError, err.Error()
	}
	return o
}
