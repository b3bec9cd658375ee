package proxy

import (
	"slices"
	"sync"

	"github.com/onewriter/onewriter/topology"
)

// firstOwnID is where the ids begin that the proxy gives to clients by itself, because there is no server connection yet
// or its id is one that another client was told before. Servers count from 1 and hardly come so far.
const firstOwnID = 1 << 30

// maxFormerIDs bounds the ids that a session is remembered by, beside the one of its handshake.
const maxFormerIDs = 8

// identities know the sessions of a cluster by the connection ids that clients have seen. A client kills what it calls
// by the id of the handshake; that is unique among the clients of a listener, which is where it comes back to kill. On
// two listeners two servers may greet with the same id, and an id that was learned later (CONNECTION_ID() after a move, a
// process list) need not be unique either.
type identities struct {
	mu    sync.Mutex
	known map[identity]*clientSession // guarded by mu
	next  uint32                      // guarded by mu; the next id of our own
}

// identity is the id of a handshake at a listener.
type identity struct {
	listener *Listener
	id       uint32
}

// claim gives the id to greet s with: that of its server connection, unless another client of the listener was told
// the same.
func (i *identities) claim(s *clientSession, serverID uint32) uint32 {
	i.mu.Lock()
	defer i.mu.Unlock()
	id := serverID
	for id == 0 || i.known[identity{s.listener, id}] != nil {
		i.next++
		id = firstOwnID + i.next%firstOwnID
	}
	i.known[identity{s.listener, id}] = s
	s.knownID.Store(id)
	if id != serverID && serverID != 0 {
		s.formerIDs = append(s.formerIDs, serverID)
	}
	return id
}

// release forgets s.
func (i *identities) release(s *clientSession) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id := s.knownID.Swap(0); id != 0 {
		delete(i.known, identity{s.listener, id})
	}
	s.formerIDs = nil
}

// arrived notes the id of a new server connection of s.
func (i *identities) arrived(s *clientSession, serverID uint32) {
	if serverID == s.knownID.Load() {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if slices.Contains(s.formerIDs, serverID) {
		return
	}
	if len(s.formerIDs) == maxFormerIDs {
		s.formerIDs = slices.Delete(s.formerIDs, 0, 1)
	}
	s.formerIDs = append(s.formerIDs, serverID)
}

// find gives the session whose client was greeted with id at the listener, or the only one that was elsewhere; nil if there
// is none. The others are those that were greeted with id elsewhere, and those that have or had it as the id of a server
// connection.
func (i *identities) find(at *Listener, id uint32) (greeted *clientSession, others []*clientSession) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s := i.known[identity{at, id}]; s != nil && s.inUse() {
		greeted = s
	}
	elsewhere := 0
	for k, s := range i.known {
		switch {
		case s == greeted || !s.inUse():
		case k.id == id:
			elsewhere++
			others = slices.Insert(others, 0, s)
		case slices.Contains(s.formerIDs, id):
			others = append(others, s)
		}
	}
	if greeted == nil && elsewhere == 1 {
		return others[0], others[1:]
	}
	return greeted, others
}

// calledID is the id by which clients and operators call s: that of its handshake.
func (s *clientSession) calledID() uint64 {
	if id := s.knownID.Load(); id != 0 {
		return uint64(id)
	}
	return s.id
}

// inUse reports whether s has logged in and is not ending.
func (s *clientSession) inUse() bool { return s.account.Load() != nil && s.ended.Load() == nil }

// at reports whether s has a connection to instance now that the server calls id.
func (s *clientSession) at(instance topology.Instance, id uint32) bool {
	w := s.where.Load()
	return w != nil && w.instance == instance && w.conn.ID == id
}
