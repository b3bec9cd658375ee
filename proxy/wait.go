package proxy

import "context"

// waiter is the wait of a command for a server, or for the end of a switchover. It is over when the command goes to a server.
type waiter struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// waitCtx is the context of the wait of the command under way, which begins if it has not.
func (s *clientSession) waitCtx() context.Context {
	w := s.waiting.Load()
	if w == nil {
		w = &waiter{}
		w.ctx, w.cancel = context.WithCancelCause(s.ctx())
		s.waiting.Store(w)
		if e := s.ended.Load(); e != nil { // end looks for a wait after it has stored this
			w.cancel(e.cause)
		}
	}
	return w.ctx
}

// waitOver ends the wait of the command under way, if there was one. The error is why it was cut short.
func (s *clientSession) waitOver() error {
	if s.waiting.Load() == nil {
		return nil
	}
	w := s.waiting.Swap(nil)
	defer w.cancel(nil)
	return s.interruption(w)
}

// interrupted is why the wait of the command under way was cut short: it was killed, or the proxy stops. It is nil if it
// was not.
func (s *clientSession) interrupted() error {
	if s.ctx().Err() != nil {
		return errShutdown()
	}
	return s.interruption(s.waiting.Load())
}

func (s *clientSession) interruption(w *waiter) error {
	if w == nil || s.ctx().Err() != nil { // a shutdown ends the wait without being about this command
		return nil
	}
	return context.Cause(w.ctx)
}

// interrupt cuts short the wait of the session, if it waits.
func (s *clientSession) interrupt(cause error) {
	if w := s.waiting.Load(); w != nil {
		w.cancel(cause)
	}
}
