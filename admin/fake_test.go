package admin

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/admin/api"
)

// cluster is a Cluster whose answers the test sets.
type cluster struct {
	name string
	do   func(context.Context, api.SwitchoverRequest) (api.Switchover, error)
	err  error // what Failover and Rejoin answer

	mu     sync.Mutex
	status api.Cluster
	calls  int
}

func (c *cluster) Name() string { return c.name }

func (c *cluster) Status() api.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.status
	st.Name = c.name
	return st
}

func (c *cluster) set(st api.Cluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = st
}

func (c *cluster) Sessions() []api.Session {
	return []api.Session{{ID: 7, User: "app", Target: "a", Pins: []string{"temporary table"}}, {ID: 8}}
}

func (*cluster) Kill(_ context.Context, id uint64) (api.Session, error) {
	if id != 7 {
		return api.Session{}, ErrNoSession
	}
	return api.Session{ID: id, HandshakeID: 90, User: "app"}, nil
}

func (c *cluster) Switchover(ctx context.Context, req api.SwitchoverRequest) (api.Switchover, error) {
	c.mu.Lock()
	c.calls++
	c.mu.Unlock()
	return c.do(ctx, req)
}

func (c *cluster) called() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

func (c *cluster) Failover(_ context.Context, req api.FailoverRequest) (api.Failover, error) {
	if c.err != nil {
		return api.Failover{}, c.err
	}
	return api.Failover{ID: "fo-1", From: "a", To: req.To, Epoch: 4, Outcome: "completed", Fence: "fenced-by-death", Loss: api.Loss{Exact: true, Sentence: "Nothing."}}, nil
}

func (c *cluster) Rejoin(_ context.Context, server string, req api.RejoinRequest) (api.Rejoin, error) {
	if c.err != nil {
		return api.Rejoin{}, c.err
	}
	return api.Rejoin{ID: "rj-1", Server: server, Method: req.Method, Outcome: "completed", Verdict: "clean"}, nil
}

func (c *cluster) Findings() api.Doctor {
	return api.Doctor{Cluster: c.name, Checks: 30, Findings: []api.Finding{{Code: "CLOCK_DRIFT", Severity: "warning"}}}
}

func (c *cluster) Examine(context.Context) api.Doctor {
	d := c.Findings()
	d.Findings = append(d.Findings, api.Finding{Code: "LOG_BIN_OFF", Severity: "critical", Blocks: true})
	return d
}

func (c *cluster) SelfTest(context.Context) api.SelfTest {
	return api.SelfTest{Cluster: c.name, OK: true, Legs: []api.Leg{{From: "a", To: "b", OK: true, RoundTripMS: 3}}}
}

// journal is a Journal in memory.
type journal struct {
	mu     sync.Mutex
	events []api.Event
	wake   chan struct{}
}

func (j *journal) append(e api.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Seq = uint64(len(j.events) + 1)
	j.events = append(j.events, e)
	if j.wake != nil {
		close(j.wake)
		j.wake = nil
	}
}

func (j *journal) Events(after uint64) []api.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	if after > uint64(len(j.events)) {
		return nil
	}
	return append([]api.Event{}, j.events[after:]...)
}

func (j *journal) History(f HistoryFilter) ([]api.Event, error) {
	out := []api.Event{}
	for _, e := range j.Events(f.After) {
		if (f.Cluster == "" || e.Cluster == f.Cluster) && (len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) && !e.At.Before(f.From) {
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-f.Limit):], nil
}

func (j *journal) Report(cluster, operation string) (api.Report, error) {
	if operation != "op1" && operation != "last" {
		return api.Report{}, fmt.Errorf("%w: %s", ErrNoOperation, operation)
	}
	return api.Report{Operation: "op1", Cluster: cluster, What: "failover"}, nil
}

func (j *journal) Follow(ctx context.Context, after uint64, deliver func(api.Event) error) error {
	for {
		j.mu.Lock()
		if j.wake == nil {
			j.wake = make(chan struct{})
		}
		wake := j.wake
		j.mu.Unlock()
		for _, e := range j.Events(after) {
			if err := deliver(e); err != nil {
				return err
			}
			after = e.Seq
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}

func lag(s float64) *float64 { return &s }

func running() api.Cluster {
	return api.Cluster{
		State: "running", Epoch: 3, Primary: "a",
		Servers: []api.Server{
			{Name: "a", Address: "127.0.0.1:3306", Role: "primary", Healthy: true, Probe: "ok", Sessions: 2},
			{Name: "b", Address: "127.0.0.1:3307", Role: "standby", Version: "10.11.9-MariaDB", Healthy: true, ReadOnly: true, Probe: "ok", LagSeconds: lag(0.25)},
		},
		Listeners: []api.Listener{{Address: ":6446", Route: "primary", Sessions: 2}},
		Sessions:  api.SessionSummary{Total: 2, InTransaction: 1},
	}
}

func done(_ context.Context, req api.SwitchoverRequest) (api.Switchover, error) {
	return api.Switchover{ID: "op1", From: "a", To: req.To, Epoch: 4, Outcome: "completed", PauseMS: 4.5}, nil
}

func newServer(t *testing.T, token string, c *cluster, j Journal) *Server {
	t.Helper()
	s, err := New(Config{
		Address: "127.0.0.1:0", Token: token, Clusters: []Cluster{c}, Journal: j, Registry: prometheus.NewRegistry(), Version: "test", Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs s until the test ends and returns its URL.
func start(t *testing.T, s *Server) string {
	t.Helper()
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not end")
		}
	})
	return "http://" + s.Addr()
}
