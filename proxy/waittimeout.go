package proxy

import (
	"errors"
	"sync"
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
	limit time.Duration
	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil when it is over
}

// differs reports whether limit is another one than the watched.
func (p *idleWatch) differs(limit time.Duration) bool {
	if p == nil {
		return limit != 0
	}
	return p.limit != limit
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
	p := &idleWatch{limit: limit}
	s.idleWatch = p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(limit, func() {
		idle := s.idleFor()
		if idle < limit {
			p.again(limit - idle)
			return
		}
		s.nudge()
		p.again(max(lookAgain, (idle-limit)/2))
	})
}

func (p *idleWatch) again(in time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Reset(in)
	}
}

func (p *idleWatch) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer.Stop()
	p.timer = nil
}

// idleFor is for how long the server has heard nothing, unless it is at work.
func (s *clientSession) idleFor() time.Duration {
	return time.Duration(s.cluster.tallies.now() - s.replied.Load())
}

// outstayed reports whether the client has been silent for its own wait_timeout, and no server waits for it any longer.
func (s *clientSession) outstayed() bool {
	return s.idleWatch != nil && s.idleFor() >= s.idleWatch.limit && (s.where.Load() == nil || !s.server.quiet())
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
