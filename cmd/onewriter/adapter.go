package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/doctor"
	"github.com/onewriter/onewriter/failover"
	"github.com/onewriter/onewriter/proxy"
	"github.com/onewriter/onewriter/topology"
)

// adminCluster shows one cluster to the admin endpoint.
type adminCluster struct {
	name    string
	mode    conf.FailoverMode
	servers []topology.Instance
	monitor interface {
		Settled(ctx context.Context) *topology.Snapshot
	}
	controller *failover.Controller
	doctor     *doctor.Doctor
	accounts   *accountWatch
	proxy      *proxy.Cluster
	killThread func(ctx context.Context, server string, id uint32) error
}

// Name implements admin.Cluster.
func (c *adminCluster) Name() string { return c.name }

// lookAgain is how long a status waits, right after the primary has changed, until all servers were looked at again.
const lookAgain = 300 * time.Millisecond

// Status implements admin.Cluster.
func (c *adminCluster) Status() api.Cluster {
	ctx, cancel := context.WithTimeout(context.Background(), lookAgain)
	defer cancel()
	snapshot := c.monitor.Settled(ctx)
	st := c.controller.Status()
	out := api.Cluster{
		Name: c.name, State: st.State.String(), Epoch: uint64(st.Epoch), Primary: st.Primary, Reasons: st.Reasons,
		Verdict: apiVerdict(st.Verdict), Mode: st.Mode, Blocked: st.Blocked,
	}
	for _, a := range st.Away {
		out.Away = append(out.Away, apiAway(a))
	}
	if !st.Since.IsZero() {
		since := st.Since.UTC()
		out.Since = &since
	}
	if o := st.Operation; o != nil {
		out.Operation = &api.Operation{ID: o.ID, From: o.From, To: o.To, Step: o.Step}
	}
	for _, i := range c.servers {
		o, _ := snapshot.Find(i.Name)
		s := serverStatus(i, o, i.Name == st.Primary)
		if !o.FactsAt.IsZero() && o.FactsAt.Before(snapshot.Since) && proved(st, i.Name) {
			s.ReadOnly = i.Name != st.Primary
		}
		if p := c.accounts.problem(); p != "" && s.ReadOnly {
			s.Problems = append(s.Problems, p)
		}
		s.Sessions = c.proxy.SessionsOn(i.Name)
		out.Servers = append(out.Servers, s)
	}
	for _, l := range c.proxy.Listeners() {
		out.Listeners = append(out.Listeners, api.Listener{Address: l.Addr().String(), Route: l.Route().String(), Sessions: l.Sessions()})
	}
	out.Sessions.Held = c.proxy.Held()
	for _, s := range c.proxy.Sessions() {
		out.Sessions.Total++
		if s.InTransaction {
			out.Sessions.InTransaction++
		}
		if len(s.Pins) > 0 {
			out.Sessions.Pinned++
		}
	}
	return out
}

// proved reports whether the controller has seen to it itself that the server is open or closed as its role wants: it publishes
// a primary when that is open, and all others are closed or away.
func proved(st failover.Status, server string) bool {
	return (st.State == failover.StateRunning || st.State == failover.StateDegraded) &&
		!slices.ContainsFunc(st.Away, func(a failover.AwayServer) bool { return a.Server == server })
}

// serverStatus puts one observation into the words of the API. A server never seen is unknown in every respect.
func serverStatus(i topology.Instance, o topology.Observation, primary bool) api.Server {
	out := api.Server{
		Name: i.Name, Address: i.Address, Probe: o.Class.String(), Role: topology.RoleUnknown.String(), Problems: append([]string{}, o.Problems...),
		ReadOnly: o.Facts.ReadOnly || o.Facts.SuperReadOnly, Version: o.Facts.Version,
	}
	if o.Facts.Position.Known() {
		out.Position = o.Facts.Position.String()
	}
	answers := o.Class == topology.ClassOK
	switch {
	case primary:
		out.Role, out.Healthy = topology.RolePrimary.String(), answers
	case len(o.Facts.Links) > 0:
		out.Role, out.Healthy = topology.RoleStandby.String(), answers && replicates(o.Facts.Links)
		if answers {
			out.LagSeconds = lagOf(o)
		}
	}
	return out
}

func replicates(links []topology.Link) bool {
	for _, l := range links {
		if !l.Running() {
			return false
		}
	}
	return true
}

// lagOf is the larger of what the server says and what the heartbeat shows, nil when neither is known.
func lagOf(o topology.Observation) *float64 {
	lag, known := o.MeasuredLag, o.MeasuredLag >= 0 && !o.FactsAt.IsZero()
	if !known {
		lag = 0
	}
	for _, l := range o.Facts.Links {
		if l.LagKnown {
			lag, known = max(lag, l.Lag), true
		}
	}
	if !known || !replicates(o.Facts.Links) {
		return nil
	}
	seconds := lag.Seconds()
	return &seconds
}

// Sessions implements admin.Cluster.
func (c *adminCluster) Sessions() []api.Session {
	list := c.proxy.Sessions()
	out := make([]api.Session, 0, len(list))
	for _, s := range list {
		out = append(out, api.Session{
			ID: s.ID, HandshakeID: s.KnownID, User: s.User, Client: s.Client, Listener: s.Listener, Target: s.Server, ConnectionID: s.ServerID,
			InTransaction: s.InTransaction, Pins: s.Pins, Since: s.Since.UTC().Truncate(time.Millisecond), Commands: s.Commands,
		})
	}
	return out
}

// errKilledByOperator is why a session ended, for its log line.
var errKilledByOperator = errors.New("killed through the admin API")

// Kill implements admin.Cluster. The server connection goes first: a server does not look whether the client of a
// statement is still there.
func (c *adminCluster) Kill(ctx context.Context, id uint64) (api.Session, error) {
	list := c.Sessions()
	i := slices.IndexFunc(list, func(s api.Session) bool { return s.ID == id })
	if i < 0 {
		return api.Session{}, admin.ErrNoSession
	}
	s := list[i]
	var err error
	if s.Target != "" {
		err = c.killThread(ctx, s.Target, s.ConnectionID)
	}
	c.proxy.End(id, errKilledByOperator)
	return s, err
}

// Switchover implements admin.Cluster.
func (c *adminCluster) Switchover(ctx context.Context, req api.SwitchoverRequest) (api.Switchover, error) {
	if c.mode == conf.FailoverOff && !req.DryRun {
		return api.Switchover{}, refusedByMode()
	}
	result, err := c.controller.Switchover(ctx, failover.Request{To: req.To, DryRun: req.DryRun, By: "admin API"})
	if err != nil {
		return api.Switchover{}, adminError(err)
	}
	return switchoverResult(result), nil
}

func switchoverResult(r failover.Result) api.Switchover {
	out := api.Switchover{
		ID: r.ID, From: r.From, To: r.To, Epoch: uint64(r.Epoch), Outcome: r.Outcome, PauseMS: r.PauseMS, SessionsMoved: r.SessionsMoved,
		Warnings: r.Warnings, PredictedPauseMS: r.PredictedPauseMS,
	}
	out.Phases, out.SessionsClosed = apiPhases(r.Phases), apiClosed(r.SessionsClosed)
	for _, b := range r.Blockers {
		out.Blockers = append(out.Blockers, api.Blocker(b))
	}
	return out
}
