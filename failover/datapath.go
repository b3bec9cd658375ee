package failover

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// DataPath is the part of the proxy that a switchover steers. Implementations must not call back into the
// Controller.
type DataPath interface {
	// Throttle delays each new transaction by delay; 0 ends it.
	Throttle(delay time.Duration)
	// Hold makes clients wait: from its return on no new transaction or statement starts towards the primary.
	// The wait is bounded by the data path itself.
	Hold(reason string)
	// Drain returns when no transaction or writing statement is open on the primary any more, or when ctx is
	// done; open is how many still are.
	Drain(ctx context.Context) (open int)
	// CloseOpen ends the sessions that still have a transaction or statement open. Their clients get cause.
	CloseOpen(cause error) []topology.ClosedSession
	// Cutoff ends at once whatever is open or under way on the server called name, reads too: the connections are
	// closed, answers that arrive later reach nobody, and the clients get cause. Sessions between two commands are
	// left alone; they are carried over when the next primary is published. Call it after Hold and after nobody was
	// published, so that nothing new can begin.
	Cutoff(name string, cause error) []topology.ClosedSession
	// Publish makes p the primary of all sessions from now on. It does not end a Hold. A zero instance means
	// that nobody may be written to.
	Publish(p topology.Primary)
	// Resume ends Hold.
	Resume() MoveReport
	// Pinned lists the sessions of the primary that a change of the primary would close, as they are now.
	Pinned() []topology.ClosedSession
	// SessionsOn counts the sessions that have a connection to the server called name.
	SessionsOn(name string) int
}

// MoveReport is what became of the sessions that were held.
type MoveReport struct {
	Moved       int                      // sessions that were carried over to the new primary
	Closed      []topology.ClosedSession // sessions that could not be, and why
	LongestHold time.Duration            // the longest time one client waited in the gate
}

// Monitor is the view of the servers that the controller follows.
type Monitor interface {
	// Snapshot is the newest snapshot, never nil after the first round of probes.
	Snapshot() *topology.Snapshot
	// Subscribe delivers new snapshots, latest wins, until cancel is called.
	Subscribe() (snapshots <-chan *topology.Snapshot, cancel func())
	// SetPrimary names the only server that may get the heartbeat write; the zero value means none. When it
	// returns no heartbeat write to another server is in flight.
	SetPrimary(p topology.Primary)
}

// Connect opens a handle for the control account on one server. It does not need to reach the server. The
// controller sets the handle's pool limits and closes it when Run ends.
type Connect func(instance topology.Instance) (*sql.DB, error)

// DrainError is the cause that clients get whose transaction outlived the drain limit of a switchover.
type DrainError struct {
	From, To string
	Limit    time.Duration
}

// Error is the text for the client.
func (e *DrainError) Error() string {
	return fmt.Sprintf("the primary role moved from %s to %s and this transaction was still open after %s; it was not committed by onewriter, run it again", e.From, e.To, e.Limit)
}

// HoldReason is the text that the data path shows while clients wait for a switchover.
func holdReason(from, to string) string { return "switchover from " + from + " to " + to }
