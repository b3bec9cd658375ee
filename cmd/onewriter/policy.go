package main

import (
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/failover"
)

func limitsOf(f conf.Failover) failover.Limits {
	l := failover.DefaultLimits()
	l.MaxLag, l.Throttle, l.Drain = f.MaxLag, f.ThrottleTimeout, f.DrainTimeout
	l.Fence, l.Catchup = f.FenceTimeout, f.CatchupTimeout
	return l
}

// policyOf carries over what an operator allows an unplanned failover to do.
func policyOf(cc conf.Cluster) failover.Policy {
	f := cc.Failover
	p := failover.Policy{
		Mode: modeOf(f.Mode), MaxDataLoss: uint64(f.MaxDataLoss), MaxUnreceivedWindow: f.MaxUnreceivedWindow,
		RequireFence: f.RequireFence, Cooldown: f.Cooldown, MaxPerHour: f.MaxPerHour,
		Rejoin: f.Rejoin == conf.RejoinAutomatic, RejoinRewind: f.RejoinOwnRows,
		Never: map[string]bool{}, Priority: map[string]int{},
	}
	for _, s := range cc.Servers {
		p.Never[s.Name], p.Priority[s.Name] = s.NeverPrimary, s.Priority
	}
	return p
}

func modeOf(m conf.FailoverMode) failover.Mode {
	switch m {
	case conf.FailoverAutomatic:
		return failover.ModeAutomatic
	case conf.FailoverOff:
		return failover.ModeOff
	case conf.FailoverManual:
		return failover.ModeManual
	default:
		return failover.ModeManual
	}
}
