package failover

import (
	"errors"
	"strings"
)

// ErrStopped is returned by calls to a Controller whose Run has ended or has not begun.
var ErrStopped = errors.New("the controller of this cluster is not running")

// RefusedError says why an operation was not begun. Nothing was changed.
type RefusedError struct {
	Reasons []string // whole sentences for the operator
}

// Error joins the reasons.
func (e *RefusedError) Error() string { return "switchover refused: " + strings.Join(e.Reasons, "; ") }

// AbortedError says why an operation that had begun was given up.
type AbortedError struct {
	ID      string   // the operation, as the journal names it
	Phase   string   // the step that failed
	Reasons []string // whole sentences for the operator
	// Unresolved is true when it could not be made certain that the old primary serves again: clients are still
	// held or refused, and the controller keeps trying. When it is false nothing has changed.
	Unresolved bool
}

// Error joins the reasons.
func (e *AbortedError) Error() string {
	return "switchover aborted in step " + e.Phase + ": " + strings.Join(e.Reasons, "; ")
}

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
