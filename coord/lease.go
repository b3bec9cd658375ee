package coord

import (
	"context"
	"reflect"
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
// begins to change servers, so that a restart knows that it may find the primary fenced by ourselves. FailingOver is
// written before the standby that shall take over from a dead primary is touched.
const (
	PhaseSettled Phase = iota
	PhaseSwitching
	PhaseFailingOver
)

// String gives the word used in the state file.
func (p Phase) String() string {
	switch p {
	case PhaseSettled:
		return "settled"
	case PhaseSwitching:
		return "switching"
	case PhaseFailingOver:
		return "failing_over"
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
	case "failing_over":
		return PhaseFailingOver, true
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
	// Target is the server the role was being moved to when Phase is not PhaseSettled, else empty.
	Target string
	// Away are the servers that were left behind or closed, and that may not serve again before it is proved that they
	// have nothing which the primary lacks. Replaced, never modified.
	Away []Departure
	// SemiSync: commits of this cluster wait for an acknowledgement. A server that restarts has forgotten that.
	SemiSync bool
	// Failovers are the times of the latest unplanned failovers, for the limit of how many there may be.
	Failovers []time.Time
	// SavedAt is when the state was written, for people; no decision depends on it.
	SavedAt time.Time
}

// Same reports whether both states say the same apart from the time of writing.
func (s State) Same(o State) bool {
	s.SavedAt, o.SavedAt = time.Time{}, time.Time{}
	return reflect.DeepEqual(s, o)
}

// Departure is what must be known about a server that the primary role left without its consent, or that was closed
// because it was writable beside the primary.
type Departure struct {
	Server string         `json:"server"`
	Epoch  topology.Epoch `json:"epoch"` // the first epoch without it
	At     time.Time      `json:"at"`
	// Operation is the failover in the journal.
	Operation string `json:"operation,omitempty"`
	// Why is one word: "failover", "split" (it was writable beside the primary), or "interrupted" (an operation had to leave it
	// without a link to the primary; it is not to blame).
	Why string `json:"why"`
	// Fence says what was achieved; see fence.Kind.
	Fence string `json:"fence"`
	// Seen is the last position of the server that the monitor saw, in its own notation; "" when unknown.
	Seen string `json:"seen,omitempty"`
	// UUID is its server_uuid (MariaDB: server_uid) when the monitor saw it last; "" when unknown.
	UUID string `json:"uuid,omitempty"`
	// Promoted is the history of the new primary when it was opened.
	Promoted string `json:"promoted,omitempty"`
	// Received is the place in the departed server's own binary log (file:offset) up to which the new primary had
	// received and applied everything when it was opened.
	Received string `json:"received,omitempty"`
	// Binlog is the place in the new primary's own binary log (file:offset) when it was opened; what follows is what
	// the departed server lacks.
	Binlog string `json:"binlog,omitempty"`
	// Link is the host:port from which the new primary received; that link is parked meanwhile.
	Link string `json:"link,omitempty"`
	// FilePos: the link between the two goes by file and position. Circular: the new primary has a link back from the
	// departed server, which stays stopped until that server is proved clean. SemiSync: the departed server waited for
	// acknowledgements, which the new primary will do again when the departed server follows it.
	FilePos  bool `json:"file_pos,omitempty"`
	Circular bool `json:"circular,omitempty"`
	SemiSync bool `json:"semi_sync,omitempty"`
	// AtLeast counts the transactions that are known to be missing on the new primary; WindowMS is the length of the
	// time before the end from which transactions may be missing, in milliseconds, -1 when unknown.
	AtLeast  uint64 `json:"at_least"`
	WindowMS int64  `json:"window_ms"`
	// Verdict is what was found out about the server since it came back ("" before): clean, diverged,
	// rebuilt_with_same_id, unknown, different (after a rewind). Reasons are sentences to it.
	Verdict string   `json:"verdict,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
}
