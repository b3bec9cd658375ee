package proxy

import (
	"errors"
	"fmt"

	"github.com/onewriter/onewriter/internal/wire"
)

// clientError is what a client is told, and what becomes of its session then.
type clientError struct {
	code  uint16
	state string
	text  string
	fatal bool // the session ends
}

// Error gives the text for the client.
func (e *clientError) Error() string { return e.text }

// Codes that the proxy uses in its own errors. All are servers' codes: a client library takes a code of its own range
// (2000 to 2999, such as 2013) in an ERR packet for an attack or a malformed packet (libmariadb: 2027).
const (
	erConCount     = 1040 // 08004 too many connections
	erUnknownCom   = 1047 // 08S01 unknown command
	erShutdown     = 1053 // 08S01 the connection to the server is gone
	erReadTimeout  = 1159 // 08S01 the rest of a command did not come
	erNewAborting  = 1184 // 08S01 aborted connection
	erUserLimit    = 1203 // 42000 too many connections of a user
	erInsecure     = 3159 // HY000 the listener requires TLS
	erLockDeadlock = 1213 // 40001 rolled back, run the transaction again
	erNoPrimary    = 1290 // HY000 nobody can be written to now
	erInterrupted  = 1317 // 70100 the statement was interrupted
	erKilled       = 1927 // 70100 the connection was ended (MariaDB)
	erIdle         = 4031 // HY000 the connection was ended because nothing came (MySQL)
)

// The errors that clients can see from the proxy itself; docs/protocol.md lists them for users.
func errRolledBack(cause error) *clientError {
	return &clientError{erLockDeadlock, "40001", fmt.Sprintf("onewriter: transaction rolled back, run it again: %v", cause), false}
}

func errUnknownOutcome(server string, cause error) *clientError {
	return &clientError{erShutdown, "08S01", fmt.Sprintf("onewriter: lost connection to %s during the statement, its outcome is unknown: %v", server, cause), true}
}

func errReadLost(server string, cause error) *clientError {
	return &clientError{erInterrupted, "70100", fmt.Sprintf("onewriter: lost connection to %s during a read: %v", server, cause), false}
}

func errTransactionLost(server string, cause error) *clientError {
	return &clientError{erLockDeadlock, "40001", fmt.Sprintf("onewriter: transaction rolled back because the connection to %s was lost, run it again: %v", server, cause), false}
}

func errPinned(reasons, why string) *clientError {
	return &clientError{erShutdown, "08S01", fmt.Sprintf("onewriter: session ended: %s, and this session cannot be carried over (%s); connect again", why, reasons), true}
}

func errHeld(reason string) *clientError {
	return &clientError{erNoPrimary, "HY000", "onewriter: no server accepts this now, nothing was executed: " + reason, false}
}

func errHeldLong(reason string) *clientError {
	return errHeld("the primary cannot be written to for longer than hold_timeout: " + reason)
}

func errUnreachable(server string, err error) *clientError {
	return &clientError{erNoPrimary, "HY000", fmt.Sprintf("onewriter: can't connect to %s, nothing was executed: %v", server, err), false}
}

// errNoLogin is errUnreachable for a client that has not proved yet who it is: of the servers it learns a name, and cause,
// with addresses and certificates, is for the log.
func errNoLogin(server string, cause error) error {
	return fmt.Errorf("%w (%w)", errUnreachable(server, errors.New("`onewriter doctor` tells why")), cause)
}

// errBetweenServers refuses what servers do among themselves, on connections that cease to be sessions.
func errBetweenServers(command byte) *clientError {
	text := fmt.Sprintf("onewriter: %s is not forwarded: servers use it among themselves, directly", wire.CommandName(command))
	return &clientError{erUnknownCom, "08S01", text, false}
}

func errInterrupted() *clientError {
	return &clientError{erInterrupted, "70100", "Query execution was interrupted", false}
}

func errShutdown() *clientError {
	return &clientError{erShutdown, "08S01", "onewriter: proxy shutdown in progress", true}
}

func errRebuild(server string, err error) *clientError {
	return &clientError{erShutdown, "08S01", fmt.Sprintf("onewriter: session ended: its state could not be restored on %s: %v; connect again", server, err), true}
}

func errInsecure(listener string) *clientError {
	return &clientError{erInsecure, "HY000", fmt.Sprintf("Connections using insecure transport are prohibited (onewriter: tls.mode is required on %s)", listener), true}
}

func errNotLetIn(server string, err error) *clientError {
	return &clientError{erShutdown, "08S01", fmt.Sprintf("onewriter: session ended: %s does not let its account in any more: %v; connect again", server, err), true}
}

// asClientError gives the error packet's content for err: servers' own errors are passed on as they are.
func asClientError(err error) (payload []byte, fatal bool) {
	if se := (*wire.ServerError)(nil); errors.As(err, &se) {
		return se.Raw, true
	}
	ce := (*clientError)(nil)
	if !errors.As(err, &ce) {
		ce = &clientError{erNewAborting, "08S01", "onewriter: " + err.Error(), true}
	}
	return wire.AppendErr(nil, ce.code, ce.state, ce.text), ce.fatal
}
