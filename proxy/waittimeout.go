package proxy

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/session"
)

// errWaitTimeout is the end of a session whose client has been silent for the wait_timeout that it has set itself.
var errWaitTimeout = errors.New("no command for the session's own wait_timeout")

// idleWatch looks after an idle session whose client has limited how long its server waits for a command (SET
// wait_timeout). Where the server hangs up then, the client is hung up on, as it asked; with the server's own limit the
// session gets another connection instead.
type idleWatch struct {
	limit time.Duration // immutable
	since atomic.Int64  // when the last command was done, as tallies.now counts

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil when it is over
}

// differs reports whether limit is another one than the watched.
func (w *idleWatch) differs(limit time.Duration) bool {
	if w == nil {
		return limit != 0
	}
	return w.limit != limit
}

// lookAgain is how soon the second look at a server comes that should have hung up. Those after it come later and later.
const lookAgain = 50 * time.Millisecond

// watch begins to look after s, or ends that with limit 0. It belongs to the session's goroutine.
func (s *clientSession) watch(limit time.Duration) {
	if s.idleWatch != nil {
		s.idleWatch.end()
		s.idleWatch = nil
	}
	if limit == 0 {
		return
	}
	w := &idleWatch{limit: limit}
	w.since.Store(s.cluster.tallies.now())
	s.idleWatch = w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(limit, func() {
		idle := time.Duration(s.cluster.tallies.now() - w.since.Load())
		if idle < limit {
			w.again(limit - idle)
			return
		}
		s.nudge() // a session that is at work looks when it is done
		w.again(max(lookAgain, (idle-limit)/2))
	})
}

func (w *idleWatch) again(in time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Reset(in)
	}
}

func (w *idleWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.timer = nil
}

// outstayed reports whether the client has been silent for its own wait_timeout, and no server waits for it any longer.
func (s *clientSession) outstayed(now int64) bool {
	w := s.idleWatch
	return w != nil && now-w.since.Load() >= int64(w.limit) && (s.where.Load() == nil || !s.server.quiet())
}

// farewell is what servers do then: MySQL says why, unasked, MariaDB just hangs up.
func (s *clientSession) farewell() error {
	if s.flavor == session.MySQL {
		payload, _ := asClientError(errOutstayed())
		_ = s.clientTC.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = s.client.conn.Write(wire.AppendPacket(nil, 0, payload))
	}
	return errWaitTimeout
}

// tooLate is farewell to a client whose command came just then.
func (s *clientSession) tooLate() error {
	if s.flavor == session.MySQL {
		return s.refuse(errOutstayed())
	}
	return errors.Join(errMidResponse, errWaitTimeout)
}

// errOutstayed has the words of MySQL.
func errOutstayed() *clientError {
	return &clientError{erIdle, "HY000", "The client was disconnected by the server because of inactivity. " +
		"See wait_timeout and interactive_timeout for configuring this behavior.", true}
}
