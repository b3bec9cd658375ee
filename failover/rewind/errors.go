package rewind

import (
	"errors"
	"strings"
)

// Errors to ask for with errors.Is.
var (
	// ErrRefused means that the transactions cannot be undone safely; the error is a *RefusedError with all reasons.
	ErrRefused = errors.New("the transactions cannot be undone")
	// ErrNotQuiet means that the server is writable, replicates, or is read by replicas.
	ErrNotQuiet = errors.New("the server is not quiet")
	// ErrChanged means that the rows or the history are not as the binary log says: somebody has changed them since.
	// Nothing is undone then.
	ErrChanged = errors.New("the data are not as the binary log says")
	// ErrInterrupted means that an earlier rewind was interrupted and has to be resumed first.
	ErrInterrupted = errors.New("an earlier rewind was interrupted")
)

// RefusedError lists why the transactions cannot be undone. It is an ErrRefused.
type RefusedError struct {
	Reasons []string // sentences
}

// Error implements error.
func (e *RefusedError) Error() string {
	return ErrRefused.Error() + ": " + strings.Join(e.Reasons, " ")
}

// Unwrap makes the error an ErrRefused.
func (*RefusedError) Unwrap() error { return ErrRefused }
