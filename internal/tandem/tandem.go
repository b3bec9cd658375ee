// Package tandem lets a goroutine help another that waits for it.
package tandem

import (
	"fmt"
	"runtime/debug"
)

// FaultError is what Go's wait panics with.
type FaultError struct {
	Fault any    // what the function panicked with
	Stack []byte // where
}

// Error implements error.
func (e *FaultError) Error() string { return fmt.Sprintf("%v\n%s", e.Fault, e.Stack) }

// Go runs fn in a goroutine of its own. wait returns when fn has; if fn panics, it is wait that panics in its place, with a
// *FaultError, so that whoever contains the faults of the caller contains those of fn.
func Go(fn func()) (wait func()) {
	done := make(chan *FaultError, 1)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				done <- &FaultError{fault, debug.Stack()}
			}
			close(done)
		}()
		fn()
	}()
	return func() {
		if fault := <-done; fault != nil {
			panic(fault)
		}
	}
}
