package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/admin/api"
)

// Time and size limits of the endpoint.
const (
	readTimeout     = 10 * time.Second // for one request with its body
	writeTimeout    = 10 * time.Second // for one answer, except streams and switchovers
	idleTimeout     = 2 * time.Minute  // of a kept-alive connection
	shutdownTimeout = 5 * time.Second  // for requests in progress when Run ends
	maxHeader       = 16 << 10         // bytes
	maxBody         = 64 << 10         // bytes
)

// Server is the admin endpoint of one process.
type Server struct {
	cfg      Config
	log      zerolog.Logger
	clusters map[string]Cluster
	handler  http.Handler
	metrics  *metrics
	keys     *keyring
	streams  chan struct{} // one slot per open event stream
	draining atomic.Bool
	began    uint64 // the newest event when the process began

	// ops is the context of mutations: it outlives their requests and ends with Run.
	ops     context.Context
	stopOps context.CancelFunc
	running sync.WaitGroup // operations in progress, and the count of those that the journal tells of

	mu       sync.Mutex // guards listener
	listener net.Listener
}

// New checks cfg, registers the metrics and builds the routes. It does not listen yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, clusters: map[string]Cluster{}, keys: newKeyring(), streams: make(chan struct{}, maxStreams),
		metrics: newMetrics(cfg.Clusters, cfg.Version), began: newestEvent(cfg.Journal),
	}
	for _, c := range cfg.Clusters {
		s.clusters[c.Name()] = c
	}
	s.ops, s.stopOps = context.WithCancel(context.Background())
	if err := s.metrics.register(cfg.Registry); err != nil {
		return nil, fmt.Errorf("admin endpoint: %w", err)
	}
	s.handler = s.routes()
	return s, nil
}

// Handler is the whole endpoint, for tests and for embedding.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen opens the socket, so that a port that is taken shows before anything is started. Run calls it if need be.
func (s *Server) Listen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return fmt.Errorf("admin endpoint: %w", err)
	}
	s.listener = l
	return nil
}

// Addr is the address in use, "" before Listen.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Drain makes /readyz answer 503 from now on, so that nobody sends new clients while the process ends.
func (s *Server) Drain() { s.draining.Store(true) }

// Run serves until ctx is done, then lets requests and mutations in progress end within a bound. It returns nil after
// an orderly end.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	// Event streams live on this context, so that they end before Shutdown waits for them.
	base, stopStreams := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStreams()
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base },
	}
	s.running.Go(func() { s.countOperations(base) })
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(s.listener) }()
	select {
	case err := <-failed:
		s.stopOps()
		stopStreams()
		s.running.Wait()
		return fmt.Errorf("admin endpoint: %w", err)
	case <-ctx.Done():
	}
	stopStreams()
	err := s.shutdown(context.WithoutCancel(ctx), srv)
	<-failed
	return err
}

func (s *Server) shutdown(ctx context.Context, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	s.stopOps()
	s.running.Wait() // an operation ends soon after its context does; its answer must not outlive Run
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if err != nil {
		return fmt.Errorf("stop the admin endpoint: %w", err)
	}
	return nil
}

// snapshot is the status of every cluster in the order of the configuration.
func (s *Server) snapshot() []api.Cluster {
	out := make([]api.Cluster, 0, len(s.cfg.Clusters))
	for _, c := range s.cfg.Clusters {
		out = append(out, status(c))
	}
	return out
}
