package proxy

import (
	"sort"
	"strings"
	"time"

	"github.com/onewriter/onewriter/session"
)

// SessionInfo is one session as the admin API shows it.
type SessionInfo struct {
	ID            uint64
	KnownID       uint32 // connection id that the client was greeted with; 0 before that
	User          string
	Client        string // address
	Listener      string
	Server        string // "" while it has no server connection
	ServerID      uint32 // connection id at the server
	Since         time.Time
	Commands      uint64
	InTransaction bool
	Pins          []string
}

// Sessions lists the sessions by id.
func (c *Cluster) Sessions() []SessionInfo {
	var list []SessionInfo
	c.each(func(s *clientSession) {
		i := SessionInfo{
			ID: s.id, KnownID: s.knownID.Load(), Client: s.address(), Listener: s.listener.config.Address, Since: s.since,
			Commands: s.commands.Load(), InTransaction: s.activity.Load() == writing, Pins: s.pinned(),
		}
		if u := s.account.Load(); u != nil {
			i.User = *u
		}
		if w := s.where.Load(); w != nil {
			i.Server, i.ServerID = w.instance.Name, w.conn.ID
		}
		list = append(list, i)
	})
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

// Count is the number of sessions.
func (c *Cluster) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions)
}

// Held is the number of clients that wait at the gate.
func (c *Cluster) Held() int { return c.gate.Waiting() }

func (s *clientSession) pinned() []string { return session.Pin(s.pins.Load()).Reasons() }

func joined(reasons []string) string { return strings.Join(reasons, ", ") }
