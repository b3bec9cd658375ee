package main

import (
	"context"
	"errors"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/failover"
)

// adminJournal shows the journal to the admin endpoint.
type adminJournal struct{ *failover.Journal }

// Events implements admin.Journal.
func (j adminJournal) Events(after uint64) []api.Event {
	return apiEvents(j.Journal.Events(after))
}

// History implements admin.Journal.
func (j adminJournal) History(f admin.HistoryFilter) ([]api.Event, error) {
	events, err := j.Journal.History(failover.Filter{
		Cluster: f.Cluster, Operation: f.Operation, Kinds: f.Kinds, After: f.After, From: f.From, Until: f.Until, Limit: f.Limit,
	})
	return apiEvents(events), err
}

// Report implements admin.Journal.
func (j adminJournal) Report(cluster, operation string) (api.Report, error) {
	r, err := j.Journal.Report(cluster, operation)
	if errors.Is(err, failover.ErrNoOperation) {
		return api.Report{}, admin.ErrNoOperation
	}
	return apiReport(r), err
}

// Follow implements admin.Journal. What a slow reader missed is taken from the journal's memory.
func (j adminJournal) Follow(ctx context.Context, after uint64, deliver func(api.Event) error) error {
	fresh, cancel := j.Subscribe()
	defer cancel()
	for {
		for _, e := range j.Events(after) {
			if err := deliver(e); err != nil {
				return err
			}
			after = e.Seq
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case _, ok := <-fresh: // only a sign that there is something new; Events has it
			if !ok {
				return nil
			}
		}
	}
}

func apiEvent(e failover.Event) api.Event {
	return api.Event{
		Seq: e.Seq, At: e.At, Cluster: e.Cluster, Operation: e.Operation, Kind: e.Kind, Step: e.Step, State: e.State, Epoch: uint64(e.Epoch),
		Primary: e.Primary, Outcome: e.Outcome, MS: e.MS, Reasons: e.Reasons, Evidence: e.Evidence,
	}
}

func apiEvents(events []failover.Event) []api.Event {
	out := make([]api.Event, len(events))
	for i, e := range events {
		out[i] = apiEvent(e)
	}
	return out
}

func apiReport(r failover.Report) api.Report {
	out := api.Report{
		Operation: r.Operation, Cluster: r.Cluster, What: r.What, Outcome: r.Outcome, By: r.By, DryRun: r.DryRun, From: r.From, To: r.To,
		Epoch: uint64(r.Epoch), Began: r.Began, Reasons: r.Reasons, Fence: r.Fence, Before: apiEvents(r.Before), Steps: apiEvents(r.Steps),
		Refused: apiEvents(r.Refused),
	}
	if !r.Ended.IsZero() {
		out.Ended, out.TookMS = &r.Ended, float64(r.Ended.Sub(r.Began).Microseconds())/1000
	}
	if c := r.Clients; c.Known {
		out.Clients = &api.Clients{PauseMS: c.PauseMS, Moved: c.Moved, Closed: c.Closed, Because: c.Because}
	}
	if r.Loss != nil {
		loss := api.Loss(*r.Loss)
		out.Loss = &loss
	}
	if r.Server != "" {
		out.Returned = &api.Returned{Server: r.Server, Method: r.Method, Verdict: r.Verdict, Errant: r.Errant, Undone: r.Undone}
	}
	return out
}
