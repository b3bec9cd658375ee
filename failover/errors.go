package failover

import (
	"cmp"
	"errors"
	"strings"
)

// ErrStopped is returned by calls to a Controller whose Run has ended or has not begun.
var ErrStopped = errors.New("the control of this cluster has ended; the log of `onewriter serve` says why")

// RefusedError says why an operation was not begun. Nothing was changed.
type RefusedError struct {
	What    string   // "switchover", "failover" or "rejoin"; "" says "operation"
	Reasons []string // whole sentences for the operator
}

// Error joins the reasons.
func (e *RefusedError) Error() string {
	return operationName(e.What) + " refused: " + strings.Join(e.Reasons, "; ")
}

// AbortedError says why an operation that had begun was given up.
type AbortedError struct {
	What    string   // as in RefusedError
	ID      string   // the operation, as the journal names it
	Phase   string   // the step that failed
	Reasons []string // whole sentences for the operator
	// Unresolved is true when it could not be made certain which server is writable: clients are still held or
	// refused, and the controller keeps trying. When it is false, a switchover and a failover have changed nothing,
	// and the server of a rejoin is still away and closed.
	Unresolved bool
}

// Error joins the reasons.
func (e *AbortedError) Error() string {
	return operationName(e.What) + " aborted in step " + e.Phase + ": " + strings.Join(e.Reasons, "; ")
}

func operationName(what string) string { return cmp.Or(what, "operation") }

// SetupError means that the control account may not create the schema that onewriter needs, or lacks another right. SQL
// is what an administrator has to run on the primary.
type SetupError struct {
	Server string
	SQL    []string
	Err    error
}

// Error names the server, the cause and the way out.
func (e *SetupError) Error() string {
	return "the control account lacks a right on " + e.Server + ": " + e.Err.Error() +
		"; run `onewriter setup --print` and execute its SQL on the primary as an administrator"
}

// Unwrap gives the server's error.
func (e *SetupError) Unwrap() error { return e.Err }
