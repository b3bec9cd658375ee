package topology

import "time"

// Epoch numbers the reigns of primaries. It grows by one whenever the pointer moves and never repeats in the
// life of a cluster. The zero Epoch means that no primary was ever known.
type Epoch uint64

// Instance names one database server of a cluster. It is comparable, the zero value means "none".
type Instance struct {
	Name    string // as the configuration calls it, unique within the cluster
	Address string // host:port
}

// Known reports whether i names a server at all.
func (i Instance) Known() bool { return i.Name != "" }

// Role is what a server is to the cluster now. The string form is the metric label.
type Role uint8

// The roles a server can have.
const (
	RoleUnknown Role = iota // not seen yet, or it fits neither role
	RolePrimary             // the only server that may accept writes
	RoleStandby             // it replicates from the primary, directly or not
)

// String gives the lower-case name used in the API and as metric label.
func (r Role) String() string {
	switch r {
	case RolePrimary:
		return "primary"
	case RoleStandby:
		return "standby"
	case RoleUnknown:
		return "unknown"
	default:
		return "unknown"
	}
}

// Primary is the one value in which control and data meet: who may be written to, since which epoch, until when.
// The zero value means that nobody may be written to, which is the safe answer.
type Primary struct {
	Instance Instance
	Epoch    Epoch
	// ValidUntil is the moment after which the data path must stop writing unless a newer value was published.
	// The zero time means without limit (coordination.mode standalone: the proxy is the only decider).
	ValidUntil time.Time
}

// Writable reports whether p may be written to at the moment now.
func (p Primary) Writable(now time.Time) bool {
	return p.Instance.Known() && (p.ValidUntil.IsZero() || now.Before(p.ValidUntil))
}

// ClosedSession names a client session that had to be ended, and why, in words for its user.
type ClosedSession struct {
	ID     uint64 `json:"id"` // the connection id that the client was told when it connected
	Reason string `json:"reason"`
}
