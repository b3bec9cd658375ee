package router

import (
	"time"

	"github.com/onewriter/onewriter/topology"
)

// Route is what a listener is for.
type Route uint8

// The routes a listener can have.
const (
	RoutePrimary Route = iota // everything goes to the primary
	RouteStandby              // reads from a standby, by Policy.Fallback from the primary
)

// String gives the configuration's word.
func (r Route) String() string {
	switch r {
	case RoutePrimary:
		return "primary"
	case RouteStandby:
		return "standby"
	default:
		return "unknown"
	}
}

// Policy is how one listener wants its sessions routed. The zero value routes to the primary.
type Policy struct {
	Route Route
	// MaxLag is the lag up to which a standby serves reads; 0 means any.
	MaxLag time.Duration
	// Fallback lets sessions of a standby listener use the primary while no standby will do.
	Fallback bool
}

// Decision is the outcome of Decide.
type Decision struct {
	// Target is where the session belongs; unknown when Reason says why there is none.
	Target topology.Instance
	// Primary is true when the target is reached as the primary, so that holds and epochs apply.
	Primary bool
	Epoch   topology.Epoch
	Reason  string
}

// Decide chooses the server for a session of a listener with policy p. current is where the session is now (or the
// zero Instance): a standby session that fell back to the primary returns only when a standby is well below the lag
// limit, so that a standby on the brink does not make sessions jump to and fro.
func Decide(s *State, p Policy, current topology.Instance, now time.Time) Decision {
	if p.Route == RouteStandby {
		if st := chooseStandby(s, p, current); st != nil {
			return Decision{Target: st.Instance, Epoch: s.Primary.Epoch}
		}
		if !p.Fallback {
			return Decision{Reason: standbyReason(s)}
		}
	}
	if !s.Primary.Writable(now) {
		return Decision{Epoch: s.Primary.Epoch, Reason: "no primary is known"}
	}
	return Decision{Target: s.Primary.Instance, Primary: true, Epoch: s.Primary.Epoch}
}

func chooseStandby(s *State, p Policy, current topology.Instance) *Standby {
	limit := p.MaxLag
	if current.Known() && current == s.Primary.Instance {
		limit = p.MaxLag / 2
	}
	var best *Standby
	for i := range s.Standbys {
		st := &s.Standbys[i]
		if !st.Ready || st.Instance == s.Primary.Instance || (p.MaxLag > 0 && st.Lag > limit) {
			continue
		}
		if st.Instance == current {
			return st
		}
		if best == nil || st.Lag < best.Lag {
			best = st
		}
	}
	return best
}

func standbyReason(s *State) string {
	if len(s.Standbys) == 0 {
		return "the cluster has no standby"
	}
	return "no standby is healthy and within max_replication_lag"
}
