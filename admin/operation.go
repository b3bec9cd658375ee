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
	"strings"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

// answer is what one operation came to, kept for requests that repeat its key.
type answer struct {
	status  int
	result  any
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

func failed(status int, p api.Problem) answer {
	p.Status = status
	return answer{status: status, problem: p}
}

// operation is one request that changes something, ready to be carried out.
type operation struct {
	what    string // "switchover", for the log and for answers
	details map[string]any
	perform func(context.Context) answer
}

// operate runs op to its end, whether the client waits for it or not. A request that repeats an Idempotency-Key gets the
// answer of the first one.
func (s *Server) operate(w http.ResponseWriter, r *http.Request, cluster string, body []byte, op operation) {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > maxKey {
		problem(w, http.StatusBadRequest, fmt.Sprintf("the Idempotency-Key is longer than %d bytes", maxKey))
		return
	}
	entry, first, err := s.keys.claim(r.URL.Path, key, body)
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	if first {
		s.start(cluster, r.RemoteAddr, op, entry)
	}
	select {
	case <-entry.done:
		entry.answer.write(w)
	case <-r.Context().Done(): // the client went away; the operation goes on
	}
}

// start runs the operation in a goroutine that Run waits for.
func (s *Server) start(cluster, from string, op operation, entry *keyEntry) {
	log := s.log.With().Str("cluster", cluster).Str("operation", op.what).Fields(op.details).Str("client", from).Logger()
	s.running.Go(func() {
		defer s.keys.finish(entry)
		log.Info().Msg("operation requested")
		entry.answer = op.perform(s.ops)
		log.Info().Int("status", entry.answer.status).Strs("reasons", entry.answer.problem.Reasons).Msg("operation answered")
	})
}

// refusal turns the error of an operation into an answer; outcome is the label of the metric.
func refusal(what string, err error) (a answer, outcome string) {
	var refused *RefusedError
	var aborted *AbortedError
	switch {
	case errors.As(err, &refused):
		return failed(http.StatusConflict, api.Problem{
			Detail: "The " + what + " was refused, nothing was changed.", Reasons: refused.Reasons, Rejoin: refused.Rejoin,
		}), "refused"
	case errors.As(err, &aborted):
		detail := "The " + what + " was aborted and undone."
		if aborted.Unresolved {
			detail = "The " + what + " was aborted, and it is not certain yet that the old primary serves again."
		}
		return failed(http.StatusServiceUnavailable, api.Problem{
			Detail: detail, Reasons: aborted.Reasons, Operation: aborted.ID, Phase: aborted.Phase, Unresolved: aborted.Unresolved,
		}), "aborted"
	default:
		return failed(http.StatusServiceUnavailable, api.Problem{
			Detail: "The " + what + " could not be carried out.", Reasons: []string{err.Error()},
		}), "failed"
	}
}

// readRequest reads the body into req. It must be declared as JSON: a form of a foreign page cannot do that.
func readRequest(w http.ResponseWriter, r *http.Request, what string, req any) (body []byte, ok bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "send the body as `Content-Type: application/json`")
		return nil, false
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBody))
		return nil, false
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "the body could not be read")
		return nil, false
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(req); err != nil {
		problem(w, http.StatusBadRequest, "the body is no "+what+" request: "+strings.TrimPrefix(err.Error(), "json: "))
		return nil, false
	}
	if dec.More() {
		problem(w, http.StatusBadRequest, "the body holds more than one JSON value")
		return nil, false
	}
	return body, true
}
