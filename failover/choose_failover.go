package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// failoverChoice is the outcome of chooseFailover.
type failoverChoice struct {
	To       topology.Instance
	Reasons  []string // why no server may take over; empty when To may
	Warnings []string
	Repoint  []string // the others, which have to be pointed at To
	FilePos  bool
	Circular bool // the old primary followed To when it was last seen; supposed of a pair of which it never was
	SemiSync bool
}

// chooseFailover picks the standby that takes over from the primary called from, which is gone: the one that has
// received most, of equals the one that has applied most, then by priority, then by the order of the configuration. A
// request may name it, and by force accept what would otherwise refuse it.
func chooseFailover(v view, from string, req FailoverRequest, policy Policy) failoverChoice {
	p, ok := v.find(from)
	if !ok {
		return failoverChoice{Reasons: []string{fmt.Sprintf("There is no server %q.", from)}}
	}
	if req.To == from {
		return failoverChoice{Reasons: []string{fmt.Sprintf("%s is the primary that has failed.", from)}}
	}
	if _, ok := v.find(req.To); req.To != "" && !ok {
		return failoverChoice{Reasons: []string{fmt.Sprintf("There is no server %q; the servers are %s.", req.To, strings.Join(v.names(func(serverView) bool { return true }), ", "))}}
	}
	var fit []serverView
	var reasons []string
	warnings := map[string][]string{}
	for _, b := range v {
		if b.Instance.Name == from || req.To != "" && b.Instance.Name != req.To {
			continue
		}
		if b.Excused {
			b.Away = ""
		}
		hard, soft := takeoverReasons(p, b)
		soft = append(soft, furtherOnes(v, p, b)...)
		hard = append(hard, openOnes(v, p, b)...)
		if b.Away != "" && req.To == "" {
			hard = append(hard, b.Away)
		}
		switch {
		case len(hard) > 0 || len(soft) > 0 && !req.Force:
			reasons = append(append(reasons, hard...), soft...)
		default:
			fit = append(fit, b)
			warnings[b.Instance.Name] = soft
		}
	}
	if len(fit) == 0 {
		return failoverChoice{Reasons: append([]string{"No standby can take over."}, unique(reasons)...)}
	}
	slices.SortStableFunc(fit, func(a, b serverView) int {
		return cmp.Or(cmp.Compare(min(1, len(warnings[a.Instance.Name])), min(1, len(warnings[b.Instance.Name]))), preferred(p, a, b))
	})
	return takeover(v, p, fit[0], append(warnings[fit[0].Instance.Name], leftOut(v, from)...), policy, req.Force)
}

// openOnes names the other servers that are writable although they were not left behind: one of them may have become the
// primary in an operation whose end nobody has seen.
func openOnes(v view, p, b serverView) []string {
	var out []string
	for _, o := range v {
		if o.writable() && o.Away == "" && o.Instance != b.Instance && o.Instance != p.Instance {
			out = append(out, fmt.Sprintf("%s is writable: it may be the primary already.", o.Instance.Name))
		}
	}
	return out
}

// furtherOnes names the servers that have received more than b, by which transactions would be lost that are there.
func furtherOnes(v view, p, b serverView) []string {
	var out []string
	for _, o := range v {
		if _, follows := linkOf(o, p); o.ok() && follows && o.Away == "" && o.Instance != b.Instance && o.Instance != p.Instance && byData(p, o, b) < 0 && o.Facts.ServerID != p.Facts.ServerID {
			out = append(out, fmt.Sprintf("%s has received more than %s.", o.Instance.Name, b.Instance.Name))
		}
	}
	return out
}

// takeover describes the failover to b.
func takeover(v view, p, b serverView, warnings []string, policy Policy, force bool) failoverChoice {
	c := failoverChoice{To: b.Instance, Warnings: warnings, SemiSync: b.SemiSyncReplica}
	link, follows := linkOf(b, p)
	if c.FilePos = !link.UsesGTID; !follows { // by force
		c.FilePos = filePos(v)
	}
	_, back := p.linkFrom(b)
	c.Circular = back || len(v) == 2 && (!p.Facts.Position.Known() || sourceUnclear(p))
	for _, o := range v {
		if o.Instance.Name != b.Instance.Name && o.Instance.Name != p.Instance.Name && o.ok() && o.Away == "" {
			c.Repoint = append(c.Repoint, o.Instance.Name)
		}
	}
	if b.AtLeast > policy.MaxDataLoss && !force {
		c.Reasons = append(c.Reasons, fmt.Sprintf("%s has not received at least %d transactions of %s; failover.max_data_loss is %d.",
			b.Instance.Name, b.AtLeast, p.Instance.Name, policy.MaxDataLoss))
	}
	return c
}

// filePos reports whether the links of the cluster go by file and position.
func filePos(v view) bool {
	return slices.ContainsFunc(v, func(o serverView) bool {
		return slices.ContainsFunc(o.Facts.Links, func(l topology.Link) bool { return !l.UsesGTID })
	})
}

// sourceUnclear reports whether p has a link of which nobody can say whose it is: one that has not connected since the
// server started, under an address that is not ours, or one that was refused because both had the same server_id.
func sourceUnclear(p serverView) bool {
	return slices.ContainsFunc(p.Facts.Links, func(l topology.Link) bool {
		return l.SourceServerID == 0 || l.SourceServerID == p.Facts.ServerID
	})
}

// takeoverReasons says what speaks against b: hard reasons nobody can overrule, soft ones an operator can.
func takeoverReasons(p, b serverView) (hard, soft []string) {
	name := b.Instance.Name
	if !b.ok() {
		return []string{b.silent(name)}, nil
	}
	if id := b.Facts.ServerID; id == 0 || id == p.Facts.ServerID {
		return []string{fmt.Sprintf("%s has the server_id %d, as %s: it skips what that wrote.", name, id, p.Instance.Name)}, nil
	}
	soft = barred(b)
	if b.writable() {
		soft = append(soft, fmt.Sprintf("%s is writable already: somebody else may have made it the primary.", name))
	}
	link, ok := linkOf(b, p)
	if !ok {
		return nil, append(soft, fmt.Sprintf("%s does not replicate from %s.", name, p.Instance.Name))
	}
	if link.Delay > 0 {
		soft = append(soft, fmt.Sprintf("%s is a delayed replica (%s).", name, link.Delay))
	}
	switch {
	case link.SQL == topology.ThreadYes:
	case link.SQLErrno != 0:
		soft = append(soft, fmt.Sprintf("The applier (SQL thread) of %s has stopped%s. What it has received after that would be lost.", name, withError(link.SQLErrno, link.SQLError)))
	case !b.Drained:
		soft = append(soft, fmt.Sprintf("The applier (SQL thread) of %s is stopped and has not applied all that was received.", name))
	}
	return nil, soft
}

// linkOf finds b's link from p, which may not answer any more.
func linkOf(b, p serverView) (topology.Link, bool) {
	if link, ok := b.linkFrom(p); ok {
		return link, true
	}
	for _, l := range b.Facts.Links {
		if l.Source == p.Instance.Address || p.Facts.ServerID != 0 && l.SourceServerID == p.Facts.ServerID {
			return l, true
		}
	}
	if len(b.Facts.Links) == 1 && !p.ok() && (p.Facts.ServerID == 0 || b.Facts.Links[0].SourceServerID == 0) {
		return b.Facts.Links[0], true // under another address than ours
	}
	return topology.Link{}, false
}

// preferred orders candidates, the better one first.
func preferred(p, a, b serverView) int { return cmp.Or(byData(p, a, b), b.Priority-a.Priority) }

// byData orders candidates by what they have, the one with more first.
func byData(p, a, b serverView) int {
	la, _ := linkOf(a, p)
	lb, _ := linkOf(b, p)
	if c := further(la.ReceivedFile, lb.ReceivedFile); c != 0 {
		return c
	}
	if c := further(la.Received, lb.Received); c != 0 {
		return c
	}
	if c := further(la.AppliedFile, lb.AppliedFile); c != 0 {
		return c
	}
	return further(a.Facts.Position, b.Facts.Position)
}

// further is negative when a is ahead of b.
func further(a, b gtid.Position) int {
	switch gtid.Relate(a, b) {
	case gtid.Ahead:
		return -1
	case gtid.Behind:
		return 1
	case gtid.Equal, gtid.Diverged, gtid.RelationUnknown:
		return 0
	default:
		return 0
	}
}

// leftOut warns of servers that might have received more and could not be asked.
func leftOut(v view, from string) []string {
	var out []string
	for _, o := range v {
		if o.Instance.Name != from && !o.ok() {
			out = append(out, fmt.Sprintf("%s could not be asked whether it has received more: %s.", o.Instance.Name, o.Err))
		}
	}
	return out
}
