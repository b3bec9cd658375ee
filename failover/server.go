package failover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/onewriter/onewriter/failover/fence"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// server is the controller's own access to one database server: a small pool for the control account, and the
// dialect once it has been recognised.
type server struct {
	instance topology.Instance
	db       *sql.DB
	user     string

	mu      sync.Mutex
	dialect flavor.Dialect // nil until detected; guarded by mu
	id      uint32         // @@server_id when last seen; guarded by mu
	swept   bool           // pending statements of an earlier process have been ended; guarded by mu
}

// openServers opens a pool for each instance without reaching any server.
func openServers(cfg Config) (map[string]*server, error) {
	out := map[string]*server{}
	for _, i := range cfg.Servers {
		db, err := cfg.Connect(i)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open a handle for %s: %w", i.Name, err), closeServers(out))
		}
		db.SetMaxOpenConns(6)
		db.SetMaxIdleConns(4)
		db.SetConnMaxIdleTime(20 * time.Second)
		out[i.Name] = &server{instance: i, db: db, user: cfg.ControlUser}
	}
	return out, nil
}

func closeServers(servers map[string]*server) error {
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// conn gives a connection and the dialect to use on it.
func (s *server) conn(ctx context.Context) (*sql.Conn, flavor.Dialect, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", s.instance.Name, err)
	}
	s.mu.Lock()
	d := s.dialect
	s.mu.Unlock()
	if d != nil {
		return conn, d, nil
	}
	d, err = flavor.Detect(ctx, conn)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("recognise %s: %w", s.instance.Name, err), conn.Close())
	}
	s.mu.Lock()
	s.dialect = d
	s.mu.Unlock()
	return conn, d, nil
}

// forget makes the next conn recognise the server again: behind the address may be another version now.
func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialect, s.swept = nil, false
}

// fencing is the server as package fence wants it.
func (s *server) fencing(ctx context.Context) (fence.Server, error) {
	conn, d, err := s.conn(ctx)
	if err != nil {
		return fence.Server{}, err
	}
	if err := conn.Close(); err != nil {
		return fence.Server{}, fmt.Errorf("connect to %s: %w", s.instance.Name, err)
	}
	return fence.Server{Name: s.instance.Name, DB: s.db, Dialect: d, ControlUser: s.user}, nil
}

// sweep ends, once, pending statements that set read_only and were left behind by an earlier process.
func (s *server) sweep(ctx context.Context, conn *sql.Conn, d flavor.Dialect) error {
	s.mu.Lock()
	swept := s.swept
	s.mu.Unlock()
	if swept {
		return nil
	}
	if err := fence.EndStray(ctx, fence.Server{Name: s.instance.Name, DB: s.db, Dialect: d, ControlUser: s.user}, conn); err != nil {
		return err
	}
	s.mu.Lock()
	s.swept = true
	s.mu.Unlock()
	return nil
}

// serverID is the @@server_id that was seen last, 0 when none was.
func (s *server) serverID() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

func (s *server) setServerID(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = id
}
