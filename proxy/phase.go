package proxy

import (
	"context"
	"runtime/pprof"
)

// phase is what a session is doing, for profiles: the label "phase" of its goroutine.
type phase uint8

const (
	phaseLogin   phase = iota // greeting and login
	phaseIdle                 // waits for its client
	phaseRelay                // a command and its answer are under way
	phaseRebuild              // gets another server connection
	phases       = iota
)

// String is the value of the label.
func (p phase) String() string {
	switch p {
	case phaseLogin:
		return "login"
	case phaseIdle:
		return "idle"
	case phaseRelay:
		return "relay"
	case phaseRebuild:
		return "rebuild"
	default:
		return "unknown"
	}
}

// phaseLabels are made once; setting one costs about as much as an atomic addition.
var phaseLabels = func() (labels [phases]context.Context) {
	for p := range labels {
		labels[p] = pprof.WithLabels(context.Background(), pprof.Labels("phase", phase(p).String()))
	}
	return labels
}()

// enterPhase labels the session's goroutine, if profiles are wanted at all.
func (s *clientSession) enterPhase(p phase) {
	if s.cluster.config.PhaseLabels {
		pprof.SetGoroutineLabels(phaseLabels[p])
	}
}
