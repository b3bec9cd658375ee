package admin

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/onewriter/onewriter/admin/api"
)

//go:embed openapi.json
var openAPIDocument []byte

func (s *Server) listClusters(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, api.Clusters{Clusters: s.snapshot()})
}

func (s *Server) getCluster(w http.ResponseWriter, r *http.Request) {
	if c, ok := s.find(w, r); ok {
		reply(w, http.StatusOK, status(c))
	}
}

func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPIDocument)
}

// find returns the cluster of the URL or answers 404.
func (s *Server) find(w http.ResponseWriter, r *http.Request) (Cluster, bool) {
	name := r.PathValue("cluster")
	c, ok := s.clusters[name]
	if !ok {
		names := slices.Sorted(maps.Keys(s.clusters))
		problem(w, http.StatusNotFound, fmt.Sprintf("there is no cluster called %q; there is %s", name, strings.Join(names, ", ")))
	}
	return c, ok
}

// status is the status of c with empty lists instead of null, which scripts would trip over.
func status(c Cluster) api.Cluster {
	st := c.Status()
	st.Reasons = orNone(st.Reasons)
	st.Blocked, st.Verdict.Evidence = orNone(st.Blocked), orNone(st.Verdict.Evidence)
	st.Away = append([]api.AwayServer{}, st.Away...)
	for i := range st.Away {
		st.Away[i].Reasons = orNone(st.Away[i].Reasons)
	}
	st.Servers = append([]api.Server{}, st.Servers...)
	st.Listeners = append([]api.Listener{}, st.Listeners...)
	for i := range st.Servers {
		st.Servers[i].Problems = orNone(st.Servers[i].Problems)
	}
	return st
}
