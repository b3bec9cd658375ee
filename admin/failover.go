package admin

import (
	"context"
	"net/http"

	"github.com/onewriter/onewriter/admin/api"
)

// postFailover moves the primary role without the old primary.
func (s *Server) postFailover(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	var req api.FailoverRequest
	body, ok := readRequest(w, r, "failover", &req)
	if !ok {
		return
	}
	s.operate(w, r, c.Name(), body, operation{
		what: "failover", details: map[string]any{"to": req.To, "force": req.Force, "dry_run": req.DryRun},
		perform: func(ctx context.Context) answer { return s.failover(ctx, c, req) },
	})
}

func (s *Server) failover(ctx context.Context, c Cluster, req api.FailoverRequest) answer {
	result, err := c.Failover(ctx, req)
	if err != nil {
		a, _ := refusal("failover", err)
		return a
	}
	result.Phases, result.SessionsClosed = orNone(result.Phases), orNone(result.SessionsClosed)
	return answer{status: http.StatusOK, result: result}
}

// postRejoin brings a server back that was left behind.
func (s *Server) postRejoin(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	var req api.RejoinRequest
	body, ok := readRequest(w, r, "rejoin", &req)
	if !ok {
		return
	}
	server := r.PathValue("server")
	s.operate(w, r, c.Name(), body, operation{
		what: "rejoin", details: map[string]any{"server": server, "method": req.Method, "dry_run": req.DryRun},
		perform: func(ctx context.Context) answer { return rejoin(ctx, c, server, req) },
	})
}

func rejoin(ctx context.Context, c Cluster, server string, req api.RejoinRequest) answer {
	result, err := c.Rejoin(ctx, server, req)
	if err != nil {
		a, _ := refusal("rejoin", err)
		if a.problem.Rejoin != nil {
			found := completeRejoin(*a.problem.Rejoin)
			a.problem.Rejoin = &found
		}
		return a
	}
	return answer{status: http.StatusOK, result: completeRejoin(result)}
}

func completeRejoin(r api.Rejoin) api.Rejoin {
	r.Errant, r.Reasons, r.Phases = orNone(r.Errant), orNone(r.Reasons), orNone(r.Phases)
	return r
}
