package auth

import (
	"context"
	"errors"

	"github.com/rs/zerolog"
)

// Config is what an Authenticator needs.
type Config struct {
	// Users is the account table; nil means none can be read: native logins are relayed.
	Users *UserTable
	// Cache keeps proven passwords; nil makes a new one.
	Cache *Cache
	// Keys must be set.
	Keys *Keys
	// Explicit are users whose password is configured.
	Explicit map[string]Secret
	Logger   zerolog.Logger
}

// Authenticator runs the logins of clients. It is safe for concurrent use; each login is one call of Login.
type Authenticator struct {
	users    *UserTable
	cache    *Cache
	keys     *Keys
	explicit map[string]Secret
	limiter  *limiter
	log      zerolog.Logger
}

// New makes an Authenticator. It starts nothing.
func New(c Config) (*Authenticator, error) {
	if c.Keys == nil {
		return nil, errors.New("auth: no keys")
	}
	a := &Authenticator{users: c.Users, cache: c.Cache, keys: c.Keys, explicit: c.Explicit, limiter: newLimiter(), log: c.Logger}
	if a.users == nil {
		a.users = NewUserTable(UserTableConfig{})
	}
	if a.cache == nil {
		a.cache = NewCache()
	}
	a.users.hooks.Store(&tableHooks{changed: a.cache.Drop, tick: a.cache.expireNow})
	return a, nil
}

// Run keeps the account table fresh and drops secrets that were not used for 24 hours, until ctx is done.
func (a *Authenticator) Run(ctx context.Context) error { return a.users.Run(ctx) }
