package admin

import (
	"net/http"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

// defaultStandbyLag is how far behind a standby may be for /standby/{cluster} without ?lag=.
const defaultStandbyLag = 5 * time.Second

// livez answers as long as the process can answer at all.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, api.Health{Status: "ok"})
}

// healthz is livez with the findings of every cluster; they do not change its status, because restarting the proxy
// heals no database.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, api.Health{Status: "ok", Reasons: s.unready()})
}

// readyz answers 200 once the primary of every cluster is known and answers.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if reasons := s.unready(); len(reasons) > 0 {
		unavailable(w, reasons...)
		return
	}
	reply(w, http.StatusOK, api.Health{Status: "ok"})
}

func (s *Server) unready() []string {
	var reasons []string
	if s.draining.Load() {
		reasons = append(reasons, "the process is about to end")
	}
	for _, c := range s.snapshot() {
		if _, why := primaryOf(c); why != "" {
			reasons = append(reasons, why)
		}
	}
	return reasons
}

// primary answers 200 while clients of the cluster can write.
func (s *Server) primary(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	server, why := primaryOf(status(c))
	if why != "" {
		unavailable(w, why)
		return
	}
	reply(w, http.StatusOK, api.Health{Status: "ok", Server: server.Name, Address: server.Address})
}

// standby answers 200 while a healthy standby is at most ?lag= behind.
func (s *Server) standby(w http.ResponseWriter, r *http.Request) {
	c, ok := s.find(w, r)
	if !ok {
		return
	}
	limit := defaultStandbyLag
	if text := r.URL.Query().Get("lag"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil || limit < 0 {
			problem(w, http.StatusBadRequest, "lag must be a duration such as 5s")
			return
		}
	}
	for _, server := range status(c).Servers {
		if server.Role == "standby" && server.Healthy && server.LagSeconds != nil && *server.LagSeconds <= limit.Seconds() {
			reply(w, http.StatusOK, api.Health{Status: "ok", Server: server.Name, Address: server.Address})
			return
		}
	}
	unavailable(w, "cluster "+c.Name()+" has no healthy standby that is at most "+limit.String()+" behind")
}

// primaryOf returns the primary of c, or why clients cannot write.
func primaryOf(c api.Cluster) (server api.Server, why string) {
	if c.Primary == "" {
		return api.Server{}, "cluster " + c.Name + " has no primary (" + c.State + ")" + because(c.Reasons)
	}
	for _, server := range c.Servers {
		switch {
		case server.Name != c.Primary:
		case !server.Healthy:
			return server, "the primary " + server.Name + " of cluster " + c.Name + " does not answer (" + server.Probe + ")"
		default:
			return server, ""
		}
	}
	return api.Server{}, "the primary " + c.Primary + " of cluster " + c.Name + " was not seen yet"
}

func because(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return ": " + reasons[0]
}

func unavailable(w http.ResponseWriter, reasons ...string) {
	reply(w, http.StatusServiceUnavailable, api.Health{Status: "unavailable", Reasons: reasons})
}
