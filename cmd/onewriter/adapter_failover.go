package main

import (
	"context"
	"errors"
	"slices"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/failover"
	"github.com/onewriter/onewriter/failover/detect"
	"github.com/onewriter/onewriter/topology"
)

// byAPI is who asks, in the journal.
const byAPI = "admin API"

func refusedByMode() error {
	return &admin.RefusedError{Reasons: []string{"The configuration says failover.mode: off, so nobody may move the primary role."}}
}

// adminError puts an error of the controller into the words of the endpoint.
func adminError(err error) error {
	var refused *failover.RefusedError
	var aborted *failover.AbortedError
	switch {
	case errors.As(err, &refused):
		return &admin.RefusedError{Reasons: refused.Reasons}
	case errors.As(err, &aborted):
		return &admin.AbortedError{ID: aborted.ID, Phase: aborted.Phase, Reasons: aborted.Reasons, Unresolved: aborted.Unresolved}
	default:
		return err
	}
}

// Failover implements admin.Operator.
func (c *adminCluster) Failover(ctx context.Context, req api.FailoverRequest) (api.Failover, error) {
	if c.mode == conf.FailoverOff && !req.DryRun {
		return api.Failover{}, refusedByMode()
	}
	r, err := c.controller.Failover(ctx, failover.FailoverRequest{To: req.To, Force: req.Force, DryRun: req.DryRun, By: byAPI})
	if err != nil {
		return api.Failover{}, adminError(err)
	}
	if r.Outcome == failover.OutcomeDryRun {
		r.Fence = "" // nothing was tried
	}
	return api.Failover{
		ID: r.ID, From: r.From, To: r.To, Epoch: uint64(r.Epoch), Outcome: r.Outcome, Fence: r.Fence, Loss: api.Loss(r.Loss), PauseMS: r.PauseMS,
		Phases: apiPhases(r.Phases), SessionsClosed: apiClosed(r.SessionsClosed), Warnings: r.Warnings, Refusals: r.Refusals,
	}, nil
}

// Rejoin implements admin.Operator.
func (c *adminCluster) Rejoin(ctx context.Context, server string, req api.RejoinRequest) (api.Rejoin, error) {
	methods := []string{failover.RejoinAuto, failover.RejoinRewind, failover.RejoinRebuild, failover.RejoinDiscard}
	if !slices.Contains(methods, req.Method) {
		return api.Rejoin{}, &admin.RefusedError{Reasons: []string{"There is no method " + req.Method + "; there are rewind, rebuild and discard, or none."}}
	}
	r, err := c.controller.Rejoin(ctx, failover.RejoinRequest{Server: server, Method: req.Method, DryRun: req.DryRun, By: byAPI})
	found := rejoinResult(r)
	if err != nil {
		err = adminError(err)
		var refused *admin.RefusedError
		if errors.As(err, &refused) && r.Verdict != "" {
			refused.Rejoin = &found
		}
		return api.Rejoin{}, err
	}
	return found, nil
}

func rejoinResult(r failover.RejoinResult) api.Rejoin {
	out := api.Rejoin{
		ID: r.ID, Server: r.Server, Method: r.Method, Outcome: r.Outcome, Verdict: r.Verdict, Undone: r.Undone, Commands: r.Commands,
		Reasons: r.Reasons, Phases: apiPhases(r.Phases),
	}
	for _, t := range r.Errant {
		out.Errant = append(out.Errant, api.ErrantTransaction(t))
	}
	return out
}

func apiPhases(list []failover.Phase) []api.Phase {
	out := make([]api.Phase, len(list))
	for i, p := range list {
		out[i] = api.Phase(p)
	}
	return out
}

func apiClosed(list []topology.ClosedSession) []api.ClosedSession {
	out := make([]api.ClosedSession, len(list))
	for i, s := range list {
		out[i] = api.ClosedSession(s)
	}
	return out
}

func apiVerdict(v detect.Verdict) api.Verdict {
	out := api.Verdict{Kind: v.Kind.String(), Cause: v.Cause.String(), Evidence: v.Evidence}
	if !v.Since.IsZero() {
		since := v.Since.UTC()
		out.Since = &since
	}
	return out
}

func apiAway(a failover.AwayServer) api.AwayServer {
	return api.AwayServer{
		Server: a.Server, Epoch: uint64(a.Epoch), At: a.At, Why: a.Why, Fence: a.Fence, Loss: api.Loss(a.Loss), Verdict: a.Verdict, Reasons: a.Reasons,
	}
}
