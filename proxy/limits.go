package proxy

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Limits bounds what the servers are asked for at once, and who may wait for it. Zero values are the defaults.
type Limits struct {
	// ServerConnections is the number of connections of sessions to the server of that name; 0 or no entry is no limit.
	// Sessions beyond it wait.
	ServerConnections map[string]int
	// Logins is how many sessions may log in at one server at a time, to begin or to be rebuilt; the others wait.
	// Default 64.
	Logins int
	// PendingLogins is how many connections to one server may wait for what their client logs in with. Clients beyond
	// it are greeted without a connection. At most a quarter of ServerConnections. Default 32.
	PendingLogins int
	// Queue is how many clients may wait for a connection to one server; the next one gets error 1040. Sessions that are
	// to be rebuilt do not count. Default 2000.
	Queue int
	// QueueTimeout is how long a client that logs in waits for a connection before it gets error 1040. Default 5 s. A
	// session that is to be rebuilt waits for HoldTimeout.
	QueueTimeout time.Duration
	// StallTimeout is how long a client may take nothing of its answer, or may send nothing of a command that it has
	// begun, before its session ends. 0 is for ever. What a client has not taken is known to the half of it.
	StallTimeout time.Duration
	// IdleTimeout is how long a session may be without a command before it ends; 0 is for ever.
	IdleTimeout time.Duration
}

func (l *Limits) setDefaults() {
	for _, v := range []struct {
		field *int
		value int
	}{{&l.Logins, 64}, {&l.PendingLogins, 32}, {&l.Queue, 2000}} {
		if *v.field <= 0 {
			*v.field = v.value
		}
	}
	setDefault(&l.QueueTimeout, 5*time.Second)
}

// serverQuotas bound what is asked of one server.
type serverQuotas struct {
	name        string
	connections quota // from before the dial until the connection is closed
	logins      quota // from before the dial, or the login on a connection dialled earlier, to its end
	pending     quota // connections that wait for their client to log in
}

func newServerQuotas(servers []topology.Instance, l Limits) map[string]*serverQuotas {
	m := make(map[string]*serverQuotas, len(servers))
	for _, i := range servers {
		q := &serverQuotas{name: i.Name}
		q.connections.limit, q.logins.limit, q.pending.limit = l.ServerConnections[i.Name], l.Logins, l.PendingLogins
		if most := q.connections.limit; most > 0 {
			q.pending.limit = min(q.pending.limit, max(1, most/4)) // who does not log in must not use up what others wait for
		}
		m[i.Name] = q
	}
	return m
}

// userCounts are the sessions by user name of one listener.
type userCounts struct {
	limit int // 0: none, and nothing is counted

	mu sync.Mutex
	n  map[string]int // guarded by mu; only users with sessions
}

// take counts a session of user, unless that would be too many.
func (u *userCounts) take(user string) bool {
	if u.limit <= 0 {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n[user] >= u.limit {
		return false
	}
	if u.n == nil {
		u.n = map[string]int{}
	}
	u.n[user]++
	return true
}

// free takes a session of user off.
func (u *userCounts) free(user string) {
	if u.limit <= 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n[user]--; u.n[user] <= 0 {
		delete(u.n, user)
	}
}

// userCount is for whom a session counts in its listener's userCounts.
type userCount struct {
	taken bool
	user  string
}

// countUser counts the session for the user that it has logged in as; it counted for another one until now, or for
// nobody.
func (s *clientSession) countUser(user string) error {
	if s.counted == (userCount{true, user}) {
		return nil
	}
	if !s.listener.users.take(user) {
		s.cluster.metrics.refuse(refusedUser)
		return errUserLimit(user)
	}
	s.uncountUser()
	s.counted = userCount{true, user}
	return nil
}

func (s *clientSession) uncountUser() {
	if s.counted.taken {
		s.counted.taken = false
		s.listener.users.free(s.counted.user)
	}
}

// errUserLimit has the words of the servers (ER_TOO_MANY_USER_CONNECTIONS).
func errUserLimit(user string) *clientError {
	return &clientError{erUserLimit, "42000", fmt.Sprintf("User %.64s already has more than 'max_user_connections' active connections", user), true}
}

// errNoPlace is the refusal of a client for whom there is no connection to a server.
func errNoPlace(server string, why error) *clientError {
	return &clientError{erConCount, "08004", fmt.Sprintf("Too many connections (onewriter: no free connection to %s: %v)", server, why), false}
}

func noPlace(err error) bool {
	ce := (*clientError)(nil)
	return errors.As(err, &ce) && ce.code == erConCount
}
