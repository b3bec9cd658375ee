package proxy

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// errQueueFull says that too many wait for a place already.
var errQueueFull = errors.New("the queue is full")

// noQueueLimit lets any number wait: for those who are bounded otherwise.
const noQueueLimit = -1

// quota lets a bounded number of holders in at a time; the others wait in the order in which they came.
type quota struct {
	limit int // 0: none

	mu    sync.Mutex
	held  int       // guarded by mu
	queue list.List // guarded by mu; of chan struct{}, each closed when its place is given
}

// try takes a place if one is free and nobody waits for it.
func (q *quota) try() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tryLocked()
}

func (q *quota) tryLocked() bool {
	if q.limit > 0 && q.held >= q.limit {
		return false
	}
	q.held++
	return true
}

// take takes a place, and waits for one until ctx ends. With room others waiting already it is errQueueFull at once.
func (q *quota) take(ctx context.Context, room int) error {
	q.mu.Lock()
	if q.tryLocked() {
		q.mu.Unlock()
		return nil
	}
	if room >= 0 && q.queue.Len() >= room {
		q.mu.Unlock()
		return errQueueFull
	}
	given := make(chan struct{})
	place := q.queue.PushBack(given)
	q.mu.Unlock()
	select {
	case <-given:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-given: // in the same moment: the next one gets it
		q.passOn()
	default:
		q.queue.Remove(place)
	}
	return context.Cause(ctx)
}

// free gives a place back.
func (q *quota) free() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.passOn()
}

// passOn hands a place to who waits longest. The caller holds mu.
func (q *quota) passOn() {
	if first := q.queue.Front(); first != nil {
		close(q.queue.Remove(first).(chan struct{}))
		return
	}
	q.held--
}

// count gives how many places are taken and how many wait.
func (q *quota) count() (held, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held, q.queue.Len()
}
