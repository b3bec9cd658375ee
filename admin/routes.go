package admin

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// access says what a route asks of a request.
type access uint8

const (
	open      access = iota // health checks: no token, any host
	guarded                 // token, or loopback without one
	streaming               // guarded, and without a limit on the time to answer
)

// route is one row of the table that the mux and the OpenAPI test are made from.
type route struct {
	method, path string
	access       access
	handler      http.HandlerFunc
}

func (s *Server) table() []route {
	metrics := promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	return []route{
		{"GET", "/api/v1/clusters", guarded, s.listClusters},
		{"GET", "/api/v1/clusters/{cluster}", guarded, s.getCluster},
		{"GET", "/api/v1/clusters/{cluster}/sessions", guarded, s.listSessions},
		{"DELETE", "/api/v1/clusters/{cluster}/sessions/{session}", guarded, s.killSession},
		{"GET", "/api/v1/clusters/{cluster}/history", guarded, s.clusterHistory},
		{"GET", "/api/v1/clusters/{cluster}/report/{operation}", guarded, s.report},
		{"GET", "/api/v1/clusters/{cluster}/doctor", streaming, s.getDoctor},
		{"POST", "/api/v1/clusters/{cluster}/doctor/self-test", streaming, s.postSelfTest},
		{"POST", "/api/v1/clusters/{cluster}/switchover", streaming, s.postSwitchover},
		{"POST", "/api/v1/clusters/{cluster}/failover", streaming, s.postFailover},
		{"POST", "/api/v1/clusters/{cluster}/servers/{server}/rejoin", streaming, s.postRejoin},
		{"GET", "/api/v1/events", streaming, s.streamEvents},
		{"GET", "/api/v1/history", guarded, s.history},
		{"GET", "/api/v1/openapi.json", guarded, s.openAPI},
		{"GET", "/metrics", guarded, metrics.ServeHTTP},
		{"GET", "/healthz", open, s.healthz},
		{"GET", "/livez", open, s.livez},
		{"GET", "/readyz", open, s.readyz},
		{"GET", "/primary/{cluster}", open, s.primary},
		{"GET", "/standby/{cluster}", open, s.standby},
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	table := s.table()
	if s.cfg.Pprof {
		table = append(table, profiling()...)
	}
	for _, r := range table {
		var h http.Handler = r.handler
		if r.access != streaming {
			h = deadline(h)
		}
		if r.access != open {
			h = s.guard(h)
		}
		mux.Handle(r.method+" "+r.path, h)
	}
	mux.Handle("/", s.guard(http.HandlerFunc(notFound)))
	return protect(mux)
}

// protect sets what holds for every answer, bounds bodies and refuses mutations that a page of another site sent.
func protect(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "the request comes from a page of another site")
	}))
	next = foreign.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// deadline bounds the time to write the answer, so that a client that does not read holds nothing.
func deadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not every ResponseWriter has deadlines; those of tests have none to miss.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		next.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	problem(w, http.StatusNotFound, "there is nothing at "+r.Method+" "+r.URL.Path)
}
