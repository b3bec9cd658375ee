package admin

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/onewriter/onewriter/admin/api"
)

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	list := c.Sessions()
	if list == nil {
		list = []api.Session{}
	}
	for i := range list {
		list[i].Pins = orNone(list[i].Pins)
	}
	reply(w, http.StatusOK, api.Sessions{Sessions: list})
}

// killSession ends a session. It takes no more than a statement at one server, so that nobody has to wait for it.
func (s *Server) killSession(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	id, err := strconv.ParseUint(r.PathValue("session"), 10, 64)
	if err != nil {
		problem(w, http.StatusNotFound, ErrNoSession.Error())
		return
	}
	session, err := c.Kill(r.Context(), id)
	s.log.Info().Str("cluster", c.Name()).Uint64("session", id).Str("user", session.User).Str("client", r.RemoteAddr).AnErr("error", err).Msg("session killed")
	switch {
	case errors.Is(err, ErrNoSession):
		problem(w, http.StatusNotFound, err.Error())
	case err != nil:
		problem(w, http.StatusServiceUnavailable, err.Error())
	default:
		session.Pins = orNone(session.Pins)
		reply(w, http.StatusOK, session)
	}
}
