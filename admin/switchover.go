package admin

import (
	"context"
	"net/http"

	"github.com/onewriter/onewriter/admin/api"
)

// postSwitchover moves the primary role by plan.
func (s *Server) postSwitchover(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	var req api.SwitchoverRequest
	body, ok := readRequest(w, r, "switchover", &req)
	if !ok {
		return
	}
	s.operate(w, r, c.Name(), body, operation{
		what: "switchover", details: map[string]any{"to": req.To, "dry_run": req.DryRun},
		perform: func(ctx context.Context) answer { return s.switchover(ctx, c, req) },
	})
}

func (s *Server) switchover(ctx context.Context, c Cluster, req api.SwitchoverRequest) answer {
	result, err := c.Switchover(ctx, req)
	if err != nil {
		a, outcome := refusal("switchover", err)
		s.metrics.switchover(c.Name(), outcome, 0)
		return a
	}
	s.metrics.switchover(c.Name(), result.Outcome, result.PauseMS)
	result.Phases, result.SessionsClosed = orNone(result.Phases), orNone(result.SessionsClosed)
	return answer{status: http.StatusOK, result: result}
}

// orNone is an empty list instead of null, which scripts would trip over.
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
