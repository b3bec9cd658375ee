package flavor

import "errors"

var (
	// ErrUnknownServer means that @@version is none this package knows.
	ErrUnknownServer = errors.New("unknown kind of server")
	// ErrApplierStopped means that the position cannot be reached, because a replication thread does not run.
	ErrApplierStopped = errors.New("replication does not run")
	// ErrNotVerified means that a statement succeeded but its effect was not to be seen.
	ErrNotVerified = errors.New("the server does not show the change")
	// ErrNoSemiSync means that the server has no semi-synchronous replication (MySQL: plugin not installed).
	ErrNoSemiSync = errors.New("semi-synchronous replication is not available")
	// ErrTarget means that a position cannot be waited for on this server: wrong kind, or no single link for it.
	ErrTarget = errors.New("position cannot be waited for on this server")
)
