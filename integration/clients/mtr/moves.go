package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// mover moves the primary role to the other server and back, for as long as it runs. Sessions that are pinned end then.
type mover struct {
	stop func()
	done sync.WaitGroup

	mu   sync.Mutex
	err  error // guarded by mu: why the role can't be moved any more
	made int   // guarded by mu
}

// moveTimeout bounds a switchover: what a test has broken takes longer.
const moveTimeout = 20 * time.Second

// startMoving moves the role in this interval.
func (s *sides) startMoving(ctx context.Context, every time.Duration) *mover {
	ctx, cancel := context.WithCancel(ctx)
	m := &mover{stop: cancel}
	m.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := s.move(ctx)
			if ctx.Err() != nil || !m.note(err) {
				return
			}
		}
	})
	return m
}

func (s *sides) move(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	return s.stand.Switchover(ctx)
}

// note reports whether moving goes on. A switchover that was undone, because a statement took too long, say, is no reason not to.
func (m *mover) note(err error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.made++
		m.err = nil
		return true
	}
	broken := m.err != nil
	m.err = err
	return !broken
}

// end waits for the last move, and tells how many there were and why there can be no more.
func (m *mover) end() (made int, err error) {
	if m == nil {
		return 0, nil
	}
	m.stop()
	m.done.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.made, m.err
}

// endedByMove reports whether the test met the end of a session that could not be moved, or of a transaction.
func (o outcome) endedByMove() bool { return strings.Contains(o.text, "onewriter:") }

func told(moves int) string {
	if moves == 0 {
		return ""
	}
	return fmt.Sprintf("(%d moves)", moves)
}
