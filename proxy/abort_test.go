package proxy

import (
	"errors"
	"net"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/session"
)

// locking is a session with table locks that only the server has told of.
func locking(t *testing.T) *clientSession {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	s := &clientSession{cluster: &Cluster{}, clientTC: ours, core: session.New(session.Config{
		Server: wire.ClientProtocol41 | wire.ClientSessionTrack | wire.ClientDeprecateEOF,
	})}
	s.cluster.gate.init()
	status := wire.StatusAutocommit | wire.StatusSessionStateChanged
	state := wire.AppendLenEncBytes([]byte{byte(wire.TrackTxnState)}, wire.AppendLenEncBytes(nil, []byte("_______L")))
	ok := wire.AppendLenEncBytes([]byte{wire.HeaderOK, 0, 0, byte(status), byte(status >> 8), 0, 0, 0}, state)
	if _, err := s.core.Login(ok); err != nil {
		t.Fatal(err)
	}
	if !s.core.Busy() || s.core.InTransaction() || s.core.Pins() != 0 {
		t.Fatalf("busy %v, in a transaction %v, pins %v", s.core.Busy(), s.core.InTransaction(), s.core.Pins())
	}
	return s
}

// Table locks that are taken away are told of, as an open transaction is.
func TestAbortionOfTableLocks(t *testing.T) {
	s, cause := locking(t), errors.New("switchover")
	s.abortion.Store(&abortion{cause})
	s.takeAbortion()
	if !errors.Is(s.rollback, cause) || s.doom != nil {
		t.Errorf("rollback %v, doom %v", s.rollback, s.doom)
	}
}

// A drain looks again when a session that may write turns to what cannot.
func TestDrainNoticesTheEndOfWriting(t *testing.T) {
	for _, next := range []activity{idle, reading} {
		s := locking(t)
		s.cluster.gate.Hold("test")
		s.setActivity(writing)
		s.setActivity(next)
		select {
		case <-s.cluster.gate.left:
		default:
			t.Errorf("activity %d is not noticed", next)
		}
		s.setActivity(writing)
		select {
		case <-s.cluster.gate.left:
			t.Error("a beginning is taken for an end")
		default:
		}
	}
}
