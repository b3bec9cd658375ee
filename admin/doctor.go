package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

// examineTimeout bounds an examination that was asked for.
const examineTimeout = 60 * time.Second

// getDoctor answers with the last examination or, with ?run=now, makes one.
func (s *Server) getDoctor(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	var report api.Doctor
	switch r.URL.Query().Get("run") {
	case "":
		report = c.Findings()
	case "now":
		ctx, cancel := context.WithTimeout(r.Context(), examineTimeout)
		defer cancel()
		report = c.Examine(ctx)
	default:
		problem(w, http.StatusBadRequest, "run must be now or left out")
		return
	}
	report.Findings, report.Failed = orNone(report.Findings), orNone(report.Failed)
	for i := range report.Findings {
		f := &report.Findings[i]
		f.Evidence, f.Fix = orNone(f.Evidence), orNone(f.Fix)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	reply(w, http.StatusOK, report)
}

// postSelfTest proves replication by a row.
func (s *Server) postSelfTest(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	var none struct{}
	body, ok := readRequest(w, r, "self-test", &none)
	if !ok {
		return
	}
	s.operate(w, r, c.Name(), body, operation{what: "self-test", perform: func(ctx context.Context) answer {
		ctx, cancel := context.WithTimeout(ctx, examineTimeout)
		defer cancel()
		test := c.SelfTest(ctx)
		test.Legs, test.Problems = orNone(test.Legs), orNone(test.Problems)
		for i := range test.Legs {
			test.Legs[i].Evidence = orNone(test.Legs[i].Evidence)
		}
		return answer{status: http.StatusOK, result: test}
	}})
}
