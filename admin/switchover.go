package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

// answer is what one switchover came to, kept for requests that repeat its key.
type answer struct {
	status  int
	result  api.Switchover
	problem api.Problem
}

func (a answer) write(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	if a.status == http.StatusOK {
		reply(w, a.status, a.result)
		return
	}
	writeProblem(w, a.problem)
}

// postSwitchover runs a switchover to its end, whether the client waits for it or not.
func (s *Server) postSwitchover(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	req, body, ok := readSwitchover(w, r)
	if !ok {
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > maxKey {
		problem(w, http.StatusBadRequest, fmt.Sprintf("the Idempotency-Key is longer than %d bytes", maxKey))
		return
	}
	entry, first, err := s.keys.claim(c.Name(), key, body)
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	if first {
		s.start(c, req, r.RemoteAddr, entry)
	}
	select {
	case <-entry.done:
		entry.answer.write(w)
	case <-r.Context().Done(): // the client went away; the operation goes on
	}
}

// start runs the operation in a goroutine that Run waits for.
func (s *Server) start(c Cluster, req api.SwitchoverRequest, from string, entry *keyEntry) {
	log := s.log.With().Str("cluster", c.Name()).Str("to", req.To).Bool("dry_run", req.DryRun).Str("client", from).Logger()
	s.running.Go(func() {
		defer s.keys.finish(entry)
		log.Info().Msg("switchover requested")
		entry.answer = s.perform(s.ops, c, req)
		log.Info().Int("status", entry.answer.status).Strs("reasons", entry.answer.problem.Reasons).Msg("switchover answered")
	})
}

func (s *Server) perform(ctx context.Context, c Cluster, req api.SwitchoverRequest) answer {
	result, err := c.Switchover(ctx, req)
	var refused *RefusedError
	var aborted *AbortedError
	switch {
	case err == nil:
		s.metrics.switchover(c.Name(), result.Outcome, result.PauseMS)
		return answer{status: http.StatusOK, result: complete(result)}
	case errors.As(err, &refused):
		s.metrics.switchover(c.Name(), "refused", 0)
		return failed(http.StatusConflict, api.Problem{Detail: "The switchover was refused, nothing was changed.", Reasons: refused.Reasons})
	case errors.As(err, &aborted):
		s.metrics.switchover(c.Name(), "aborted", 0)
		detail := "The switchover was aborted and undone."
		if aborted.Unresolved {
			detail = "The switchover was aborted, and it is not certain yet that the old primary serves again."
		}
		return failed(http.StatusServiceUnavailable, api.Problem{
			Detail: detail, Reasons: aborted.Reasons, Operation: aborted.ID, Phase: aborted.Phase, Unresolved: aborted.Unresolved,
		})
	default:
		s.metrics.switchover(c.Name(), "failed", 0)
		return failed(http.StatusServiceUnavailable, api.Problem{Detail: "The switchover could not be carried out.", Reasons: []string{err.Error()}})
	}
}

func failed(status int, p api.Problem) answer {
	p.Status = status
	return answer{status: status, problem: p}
}

func complete(r api.Switchover) api.Switchover {
	if r.Phases == nil {
		r.Phases = []api.Phase{}
	}
	if r.SessionsClosed == nil {
		r.SessionsClosed = []api.ClosedSession{}
	}
	return r
}

// readSwitchover reads the body, which must be declared as JSON: a form of a foreign page cannot do that.
func readSwitchover(w http.ResponseWriter, r *http.Request) (req api.SwitchoverRequest, body []byte, ok bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "send the body as `Content-Type: application/json`")
		return req, nil, false
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBody))
		return req, nil, false
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "the body could not be read")
		return req, nil, false
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		problem(w, http.StatusBadRequest, "the body is no switchover request: "+err.Error())
		return req, nil, false
	}
	if dec.More() {
		problem(w, http.StatusBadRequest, "the body holds more than one JSON value")
		return req, nil, false
	}
	return req, body, true
}
