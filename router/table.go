package router

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Standby is what routing needs to know of a server that is not the primary.
type Standby struct {
	Instance topology.Instance
	// Ready is true while the server answers, is read-only and both its replication threads run.
	Ready bool
	// Lag is how far the server is behind, the larger of the measured and the reported figure; meaningless
	// while Ready is false.
	Lag time.Duration
}

// State is one immutable picture of a cluster for routing.
type State struct {
	Primary  topology.Primary
	Standbys []Standby // in the order of the configuration
}

// Table holds the current State. Its writers are the failover controller (Publish) and the health collector
// (Observe); sessions only Load. The zero Table is ready to use and names no primary.
type Table struct {
	state atomic.Pointer[State]
	mu    sync.Mutex // orders writers; guards changed
	// changed is closed and replaced by each Publish
	changed chan struct{}
}

var empty State

// Load gives the current state; never nil.
func (t *Table) Load() *State {
	if s := t.state.Load(); s != nil {
		return s
	}
	return &empty
}

// Publish makes p the primary. An older epoch than the current one is refused: a late publisher cannot move the
// pointer back.
func (t *Table) Publish(p topology.Primary) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.Load()
	if p.Epoch < old.Primary.Epoch {
		return false
	}
	t.state.Store(&State{Primary: p, Standbys: old.Standbys})
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
	return true
}

// Observe replaces what is known of the servers; the primary is left as it is.
func (t *Table) Observe(standbys []Standby) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Store(&State{Primary: t.Load().Primary, Standbys: standbys})
}

// Changed gives a channel that is closed by the next Publish.
func (t *Table) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}
