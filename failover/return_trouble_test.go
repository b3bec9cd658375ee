package failover

import (
	"testing"

	"github.com/onewriter/onewriter/coord"
)

// What went wrong with a server is told until that one is well, and no longer.
func TestTroubleIsOfOneServer(t *testing.T) {
	s := state{mode: StateRunning, known: coord.State{Away: []coord.Departure{{Server: "b"}, {Server: "c"}}}}
	s, _ = s.beginReturn("", coord.Departure{Server: "b"}, RejoinRequest{})
	s, _ = s.failedReturn(inDone{Step: stepJudge, Reasons: []string{"b is slow."}})
	s, _ = s.beginReturn("", coord.Departure{Server: "c"}, RejoinRequest{})
	if s, _ = s.returned(); len(s.awayTrouble) == 0 {
		t.Error("the trouble with b is forgotten with the return of c")
	}
	before := s.known.Away
	s.known.Away = []coord.Departure{{Server: "c"}}
	if s = s.forgetComebacks(before); len(s.awayTrouble) != 0 {
		t.Errorf("b is not away any more: %q", s.awayTrouble)
	}
}
