package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

const (
	maxStreams = 32               // event streams at once
	keepAlive  = 15 * time.Second // between two comments on a quiet stream
)

// streamEvents sends the kept events after ?since= (or Last-Event-ID) and then each new one.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request) {
	since, ok := s.since(w, r)
	if !ok {
		return
	}
	if s.cfg.Journal == nil {
		problem(w, http.StatusNotFound, "this process keeps no journal")
		return
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		problem(w, http.StatusServiceUnavailable, fmt.Sprintf("there are %d event streams already", maxStreams))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := &eventWriter{w: w, rc: http.NewResponseController(w)}
	if out.send(": onewriter events\n\n") != nil {
		return
	}
	s.pump(r, since, out)
}

// pump copies events until the client goes away. The goroutine that follows the journal ends with it.
func (s *Server) pump(r *http.Request, since uint64, out *eventWriter) {
	ctx, cancel := context.WithCancel(r.Context())
	events := make(chan api.Event)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// The error is that of ctx: the client went away.
		_ = s.cfg.Journal.Follow(ctx, since, func(e api.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	defer func() { cancel(); <-ended }()
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case <-tick.C:
			err = out.send(": keep-alive\n\n")
		case e := <-events:
			if wanted(r, e) {
				err = out.event(e)
			}
		}
		if err != nil {
			return
		}
	}
}

type eventWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (o *eventWriter) event(e api.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return o.send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Kind, data))
}

func (o *eventWriter) send(text string) error {
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.rc.Flush()
}

// since reads where to begin. A number from before a restart of the process is larger than all there are: then
// everything is sent.
func (s *Server) since(w http.ResponseWriter, r *http.Request) (uint64, bool) {
	text := r.URL.Query().Get("since")
	if text == "" {
		text = r.Header.Get("Last-Event-ID")
	}
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		problem(w, http.StatusBadRequest, "since must be the number of an event")
		return 0, false
	}
	if s.cfg.Journal != nil && n > 0 && len(s.cfg.Journal.Events(n-1)) == 0 {
		return 0, true
	}
	return n, true
}

func wanted(r *http.Request, e api.Event) bool {
	c := r.URL.Query().Get("cluster")
	return c == "" || c == e.Cluster
}
