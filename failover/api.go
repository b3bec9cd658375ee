package failover

import (
	"time"

	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/topology"
)

// State is the situation of a cluster as the API names it.
type State uint8

// The states of a cluster. Only in StateRunning and StateDegraded is there a primary to write to.
const (
	StateStarting  State = iota // nothing is decided yet
	StateRunning                // the primary serves
	StateSwitching              // an operation is moving the primary role
	StateSplit                  // more than one server is writable, or the writable one is not the known primary
	StateNoPrimary              // no server may be written to, or the primary does not answer
	StateDegraded               // there is a primary, but something keeps writes from succeeding; see the reasons
)

var stateNames = [...]string{"starting", "running", "switching", "split", "no_primary", "degraded"}

// String gives the word of the API and the metric label.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status is the situation of a cluster at one moment. It is immutable.
type Status struct {
	Cluster   string           `json:"cluster"`
	State     State            `json:"state"`
	Epoch     topology.Epoch   `json:"epoch"`
	Primary   string           `json:"primary"` // "" when there is none
	Reasons   []string         `json:"reasons"` // whole sentences; empty in StateRunning
	Since     time.Time        `json:"since"`   // when State was entered
	Operation *OperationStatus `json:"operation,omitempty"`
	// Verdict is what is the matter with the primary, with the evidence.
	Verdict detect.Verdict `json:"verdict"`
	// Mode is who may move the role after a failure; Blocked are the reasons why an automatic failover would not
	// happen now (limits, doctor findings), empty otherwise.
	Mode    string   `json:"mode"`
	Blocked []string `json:"blocked,omitempty"`
	// Away are the servers that may not serve before they are proved clean.
	Away []AwayServer `json:"away,omitempty"`
}

// OperationStatus is the operation in progress.
type OperationStatus struct {
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
	Step string `json:"step"`
}

// Request asks for a planned switchover.
type Request struct {
	To     string `json:"to"`      // the new primary; "" lets the controller choose the best standby
	DryRun bool   `json:"dry_run"` // check and predict, change nothing
	By     string `json:"by"`      // who asks, for the journal
}

// Phase is one step of an operation and how long it took.
type Phase struct {
	Name string  `json:"name"`
	MS   float64 `json:"ms"`
}

// The outcomes of a Result.
const (
	OutcomeCompleted = "completed"
	OutcomeDryRun    = "dry_run"
)

// Result is what a switchover did.
type Result struct {
	ID      string         `json:"id"`
	From    string         `json:"from"`
	To      string         `json:"to"`
	Epoch   topology.Epoch `json:"epoch"` // the epoch after the operation
	Outcome string         `json:"outcome"`
	// PauseMS is how long no client could write: from the moment the data path held all of them to the moment
	// it was told to let them go on.
	PauseMS       float64 `json:"pause_ms"`
	Phases        []Phase `json:"phases"`
	SessionsMoved int     `json:"sessions_moved"`
	// SessionsClosed are the sessions that could not be carried over, after a dry run those that could not be now; by the
	// connection id that their clients know.
	SessionsClosed []topology.ClosedSession `json:"sessions_closed"`
	// Warnings are sentences about what did not go as it should but is no reason to undo anything.
	Warnings []string `json:"warnings,omitempty"`
	// PredictedPauseMS and Blockers are only set by a dry run.
	PredictedPauseMS float64   `json:"predicted_pause_ms,omitempty"`
	Blockers         []Blocker `json:"blockers,omitempty"`
}

// Blocker is a session on the primary that would lengthen the pause or be ended by a switchover.
type Blocker struct {
	ID      uint64  `json:"id"` // the server's connection id
	User    string  `json:"user"`
	Host    string  `json:"host"`
	Seconds float64 `json:"seconds"` // how long it has been in its present state
	Reason  string  `json:"reason"`
}
