package proxy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

func TestClientErrors(t *testing.T) {
	cause := errors.New("cause")
	server := wire.NewServerError(1040, "08004", "Too many connections")
	for _, c := range []struct {
		name  string
		err   error
		code  uint16
		state string
		fatal bool
	}{
		{"rolled back", errRolledBack(cause), 1213, "40001", false},
		{"unknown outcome", errUnknownOutcome("a", cause), 1053, "08S01", true},
		{"read lost", errReadLost("a", cause), 1317, "70100", false},
		{"transaction lost", errTransactionLost("a", cause), 1213, "40001", false},
		{"pinned", errPinned("user variable", "why"), 1053, "08S01", true},
		{"held", errHeld("why"), 1290, "HY000", false},
		{"unreachable", errUnreachable("a", cause), 1290, "HY000", false},
		{"unreachable, marked", &unreachableError{errUnreachable("a", cause)}, 1290, "HY000", false},
		{"shutdown", errShutdown(), 1053, "08S01", true},
		{"rebuild", errRebuild("a", cause), 1053, "08S01", true},
		{"rebuild, by the server's error", errRebuild("a", server), 1053, "08S01", true},
		{"server's own", fmt.Errorf("login: %w", server), 1040, "08004", true},
		{"foreign", cause, 1184, "08S01", true},
	} {
		payload, fatal := asClientError(c.err)
		e, err := wire.ParseErr(payload)
		if err != nil || e.Code != c.code || e.State != c.state || fatal != c.fatal {
			t.Errorf("%s: %v, fatal %v, %v", c.name, e, fatal, err)
		}
		if c.err != error(nil) && !errors.As(c.err, new(*wire.ServerError)) && !strings.HasPrefix(e.Message, "onewriter: ") {
			t.Errorf("%s: %q does not say who speaks", c.name, e.Message)
		}
		if short, err := wire.ParseErr(withoutState(payload)); err != nil || short.State != "" || short.Message != e.Message {
			t.Errorf("%s before the handshake: %+v, %v", c.name, short, err)
		}
	}
}
