// Command onewriter is a proxy for MySQL and MariaDB that owns the primary pointer: clients connect to it, it connects
// them to the one server that may be written to, and moves that role between servers without losing a transaction.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes that scripts can rely on.
const (
	exitOK      = 0
	exitFailed  = 1
	exitRefused = 2 // the operation was refused, nothing was changed
	exitAborted = 3 // the operation was begun and undone

	exitWarnings = 4 // the doctor has warnings, or could not check everything
	exitCritical = 5 // the doctor has critical findings, or the self-test failed
)

// exitError carries an exit code with an error. A nil err means that everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return runRoot(ctx, newRootCommand(), args)
}

// runRoot runs one command line, says what went wrong in as few words as it takes, and returns the exit code.
func runRoot(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
		err = exit.err
	}
	if err != nil {
		_, _ = fmt.Fprintln(root.ErrOrStderr(), "onewriter:", err)
	}
	return code
}
