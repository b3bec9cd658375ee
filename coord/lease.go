package coord

import (
	"context"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Lease is the right to decide for one cluster. Whoever acts on servers asks Valid immediately before each single
// action, because a right that was held a moment ago proves nothing.
type Lease interface {
	// Holder names this process to other deciders and in the journal.
	Holder() string
	// Valid reports whether this process may act at the moment now.
	Valid(now time.Time) bool
	// ValidUntil is the moment at which the right ends unless it is renewed; the zero time means never.
	ValidUntil() time.Time
}

// Store keeps the decider's State across restarts. Save returns only when the state is durable: the primary is
// published after that and never before.
type Store interface {
	// Load returns the stored state; found is false when none was ever stored.
	Load(ctx context.Context) (state State, found bool, err error)
	// Save makes state durable. It refuses a state whose epoch is older than the stored one.
	Save(ctx context.Context, state State) error
}

// Phase says in which situation a State was written.
type Phase uint8

// The phases of a stored state. Settled is written whenever the pointer rests, Switching before a switchover
// begins to change servers, so that a restart knows that it may find the primary fenced by ourselves.
const (
	PhaseSettled Phase = iota
	PhaseSwitching
)

// String gives the word used in the state file.
func (p Phase) String() string {
	switch p {
	case PhaseSettled:
		return "settled"
	case PhaseSwitching:
		return "switching"
	default:
		return "settled"
	}
}

// ParsePhase reads the word that String writes.
func ParsePhase(s string) (Phase, bool) {
	switch s {
	case "settled":
		return PhaseSettled, true
	case "switching":
		return PhaseSwitching, true
	default:
		return PhaseSettled, false
	}
}

// State is what a decider must not forget: who the primary is and in which epoch.
type State struct {
	Cluster string
	Epoch   topology.Epoch
	Primary topology.Instance
	Phase   Phase
	// Target is the server a switchover was moving to when Phase is PhaseSwitching, else empty.
	Target string
	// SavedAt is when the state was written, for people; no decision depends on it.
	SavedAt time.Time
}

// Same reports whether both states say the same apart from the time of writing.
func (s State) Same(o State) bool {
	s.SavedAt, o.SavedAt = time.Time{}, time.Time{}
	return s == o
}
