package admin

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Limits of the memory for Idempotency-Key headers.
const (
	maxKey     = 200              // bytes of one key
	maxEntries = 1000             // answers kept
	keepAnswer = 10 * time.Minute // after the operation ended
)

// keyring remembers the answers to requests with an Idempotency-Key, so that a client that lost the answer can ask
// again without a second operation. Requests without a key get an entry that nobody else can find.
type keyring struct {
	mu      sync.Mutex // guards entries
	entries map[string]*keyEntry
}

// keyEntry is one operation. answer may be read once done is closed.
type keyEntry struct {
	done   chan struct{}
	answer answer

	name    string
	body    [sha256.Size]byte
	expires time.Time // zero while the operation runs; guarded by the keyring's mu
}

func newKeyring() *keyring { return &keyring{entries: map[string]*keyEntry{}} }

// claim returns the entry for key, which counts for one path only; first means that the caller has to run the operation
// and then call finish.
func (k *keyring) claim(path, key string, body []byte) (entry *keyEntry, first bool, err error) {
	sum := sha256.Sum256(body)
	if key == "" {
		return &keyEntry{done: make(chan struct{})}, true, nil
	}
	name := path + "\x00" + key
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire(time.Now())
	if e, ok := k.entries[name]; ok {
		if e.body != sum {
			return nil, false, errors.New("this Idempotency-Key was used for another request")
		}
		return e, false, nil
	}
	if len(k.entries) >= maxEntries {
		return nil, false, errors.New("too many requests with an Idempotency-Key are remembered; try again later or without one")
	}
	e := &keyEntry{done: make(chan struct{}), name: name, body: sum}
	k.entries[name] = e
	return e, true, nil
}

// finish makes the answer visible to everyone who waits for it.
func (k *keyring) finish(e *keyEntry) {
	k.mu.Lock()
	e.expires = time.Now().Add(keepAnswer)
	k.mu.Unlock()
	close(e.done)
}

func (k *keyring) expire(now time.Time) {
	for name, e := range k.entries {
		if !e.expires.IsZero() && now.After(e.expires) {
			delete(k.entries, name)
		}
	}
}
