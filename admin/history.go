package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

const (
	defaultHistory = 200   // events
	maxHistory     = 10000 // events
)

// ErrNoOperation is what a Journal answers when it knows no operation of that name.
var ErrNoOperation = errors.New("the journal knows no such operation")

// history answers with the kept events of all clusters.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	s.answerHistory(w, r, r.URL.Query().Get("cluster"))
}

// clusterHistory answers with the kept events of one cluster.
func (s *Server) clusterHistory(w http.ResponseWriter, r *http.Request) {
	if c, ok := s.find(w, r); ok {
		s.answerHistory(w, r, c.Name())
	}
}

func (s *Server) answerHistory(w http.ResponseWriter, r *http.Request, cluster string) {
	since, ok := s.since(w, r)
	if !ok {
		return
	}
	f, reason := filterOf(r.URL.Query())
	if reason != "" {
		problem(w, http.StatusBadRequest, reason)
		return
	}
	f.Cluster, f.After = cluster, since
	var events []api.Event
	if s.cfg.Journal != nil {
		var err error
		if events, err = s.cfg.Journal.History(f); err != nil {
			s.log.Warn().Err(err).Msg("part of the journal cannot be read")
		}
	}
	reply(w, http.StatusOK, api.History{Events: orNone(events)})
}

// filterOf reads the parameters of a history; reason says what is wrong with them.
func filterOf(q url.Values) (f HistoryFilter, reason string) {
	f = HistoryFilter{Limit: defaultHistory, Operation: q.Get("operation")}
	if kinds := q.Get("kind"); kinds != "" {
		f.Kinds = strings.Split(kinds, ",")
		for _, kind := range f.Kinds {
			if !slices.Contains(api.EventKinds, kind) {
				return f, fmt.Sprintf("there is no kind of event %q; the kinds are %s", kind, strings.Join(api.EventKinds, ", "))
			}
		}
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return f, "limit must be a number from 1"
		}
		f.Limit = min(n, maxHistory)
	}
	for key, at := range map[string]*time.Time{"from": &f.From, "until": &f.Until} {
		if text := q.Get(key); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return f, key + " must be a moment such as 2026-01-02T15:04:05Z"
			}
			*at = t
		}
	}
	return f, ""
}

// report answers with all that is known of one operation.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	if s.cfg.Journal == nil {
		problem(w, http.StatusNotFound, "this process keeps no journal")
		return
	}
	name := r.PathValue("operation")
	report, err := s.cfg.Journal.Report(c.Name(), name)
	switch {
	case errors.Is(err, ErrNoOperation):
		problem(w, http.StatusNotFound, "the journal of cluster "+c.Name()+" knows no operation "+name+"; `onewriter history --kind begin,refused` lists those that it knows")
		return
	case err != nil:
		s.log.Warn().Err(err).Msg("part of the journal cannot be read")
	}
	report.Reasons, report.Before, report.Steps = orNone(report.Reasons), orNone(report.Before), orNone(report.Steps)
	reply(w, http.StatusOK, report)
}
