package auth

import (
	"bytes"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// cacheLife is how long a password is kept that no login used.
	cacheLife = 24 * time.Hour
	// cachePerUser bounds the passwords of one name: dual passwords, and accounts of one name for several hosts.
	cachePerUser = 4
	// cacheUsers bounds the names.
	cacheUsers = 10_000
)

// Cache keeps the passwords that servers have accepted, sealed. It is safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	users map[string][]cacheEntry // guarded by mu; newest entry last; the slices are never changed in place
}

type cacheEntry struct {
	twice  [sha256.Size]byte // SHA256(SHA256(password)), what servers themselves keep to check fast replies
	secret Secret
	used   time.Time
}

// NewCache makes an empty cache.
func NewCache() *Cache { return &Cache{users: map[string][]cacheEntry{}} }

// explain gives the passwords that a fast reply to salt can have been made with: none or one.
func (c *Cache) explain(user string, reply, salt []byte) []Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for i, e := range c.users[user] {
		if now.Sub(e.used) < cacheLife && explainsSHA2(reply, salt, e.twice) {
			e.used = now
			c.users[user] = append(without(c.users[user], i), e)
			return []Secret{e.secret}
		}
	}
	return nil
}

// add keeps a password that a server has just accepted.
func (c *Cache) add(user string, secret Secret) {
	entry := cacheEntry{secret: secret, used: time.Now()}
	if err := secret.open(func(plain []byte) error {
		once := sha256Sum(plain)
		entry.twice = sha256Sum(once[:])
		return nil
	}); err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := c.users[user]
	for i, e := range entries {
		if e.twice == entry.twice {
			entries = without(entries, i)
			break
		}
	}
	if len(entries) >= cachePerUser {
		entries = without(entries, 0)
	}
	if entries == nil && len(c.users) >= cacheUsers {
		c.evict(entry.used)
	}
	c.users[user] = append(entries, entry)
}

// evict makes room: what is too old, else any one name. The caller holds mu.
func (c *Cache) evict(now time.Time) {
	c.expire(now)
	for user := range c.users {
		if len(c.users) < cacheUsers {
			return
		}
		delete(c.users, user)
	}
}

// expire drops passwords that were not used for cacheLife. The caller holds mu.
func (c *Cache) expire(now time.Time) {
	for user, entries := range c.users {
		var kept []cacheEntry
		for _, e := range entries {
			if now.Sub(e.used) < cacheLife {
				kept = append(kept, e)
			}
		}
		if len(kept) == 0 {
			delete(c.users, user)
		} else {
			c.users[user] = kept
		}
	}
}

// expireNow drops the passwords that no login used for 24 hours.
func (c *Cache) expireNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(time.Now())
}

// forget drops one password: a server refused it.
func (c *Cache) forget(user string, secret Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.users[user] {
		if bytes.Equal(e.secret.sealed, secret.sealed) {
			c.users[user] = without(c.users[user], i)
			return
		}
	}
}

// Drop forgets all passwords of a user: the account was changed.
func (c *Cache) Drop(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.users, user)
}

// without gives a copy of entries that lacks the one at i.
func without(entries []cacheEntry, i int) []cacheEntry {
	kept := make([]cacheEntry, 0, len(entries))
	return append(append(kept, entries[:i]...), entries[i+1:]...)
}
