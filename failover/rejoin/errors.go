package rejoin

import (
	"errors"
	"strings"
)

// Errors to ask for with errors.Is.
var (
	// ErrNotClosed means that the server that came back is writable; nothing is done to it before it is closed.
	ErrNotClosed = errors.New("it is not read-only")
	// ErrNotClean means that the server has something that the primary lacks.
	ErrNotClean = errors.New("it has transactions that the primary does not have")
	// ErrNoAccount means that a new link is needed and the replication account is not known.
	ErrNoAccount = errors.New("there is no link to the primary and no replication account is configured to make one")
	// ErrManual means that this has to be done by an operator; the error is a *ManualError then.
	ErrManual = errors.New("an operator has to do this")
	// ErrNotBack means that the server has ended after its data were replaced, as it should, and has not come back.
	ErrNotBack = errors.New("it has not come back")
)

// ManualError says what an operator has to run. It is an ErrManual.
type ManualError struct {
	Why      string // a sentence
	Commands []string
}

// Error implements error.
func (e *ManualError) Error() string {
	return ErrManual.Error() + ": " + e.Why + "\n" + strings.Join(e.Commands, "\n")
}

// Unwrap makes the error an ErrManual.
func (*ManualError) Unwrap() error { return ErrManual }
