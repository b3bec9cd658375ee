package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/admin/client"
)

type cluster struct{ err error }

func (cluster) Name() string { return "orders" }
func (cluster) Status() api.Cluster {
	return api.Cluster{Name: "orders", State: "running", Primary: "a", Epoch: 2}
}
func (cluster) Sessions() []api.Session { return []api.Session{{ID: 9, User: "app"}} }
func (cluster) Kill(_ context.Context, id uint64) (api.Session, error) {
	if id != 9 {
		return api.Session{}, admin.ErrNoSession
	}
	return api.Session{ID: id, HandshakeID: 90, User: "app"}, nil
}

func (c cluster) Switchover(_ context.Context, req api.SwitchoverRequest) (api.Switchover, error) {
	return api.Switchover{From: "a", To: req.To, Epoch: 3, Outcome: "completed"}, c.err
}

func (c cluster) Failover(_ context.Context, req api.FailoverRequest) (api.Failover, error) {
	return api.Failover{From: "a", To: req.To, Epoch: 3, Outcome: "completed", Fence: "fenced-by-death"}, c.err
}
func (c cluster) Rejoin(_ context.Context, server string, req api.RejoinRequest) (api.Rejoin, error) {
	return api.Rejoin{Server: server, Method: req.Method, Outcome: "completed"}, c.err
}
func (cluster) Findings() api.Doctor { return api.Doctor{Checks: 1} }
func (cluster) Examine(context.Context) api.Doctor {
	return api.Doctor{Checks: 2}
}
func (cluster) SelfTest(context.Context) api.SelfTest { return api.SelfTest{OK: true} }

type journal struct{}

func (journal) History(f admin.HistoryFilter) ([]api.Event, error) {
	return []api.Event{{Seq: f.After + 1, Cluster: f.Cluster, Operation: f.Operation, Kind: strings.Join(f.Kinds, "+"), At: f.From}}, nil
}
func (journal) Report(cluster, operation string) (api.Report, error) {
	if operation == "none" {
		return api.Report{}, admin.ErrNoOperation
	}
	return api.Report{Cluster: cluster, Operation: operation}, nil
}

func (journal) Events(after uint64) []api.Event { return []api.Event{{Seq: after + 1, Kind: "state"}} }
func (journal) Follow(ctx context.Context, _ uint64, _ func(api.Event) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// serve runs the real endpoint and returns a client for it.
func serve(t *testing.T, c cluster, serverToken, clientToken string) *client.Client {
	t.Helper()
	s, err := admin.New(admin.Config{
		Address: "127.0.0.1:0", Token: serverToken, Clusters: []admin.Cluster{c}, Journal: journal{}, Registry: prometheus.NewRegistry(), Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	out, err := client.New(strings.TrimPrefix(h.URL, "http://"), clientToken)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCalls(t *testing.T) {
	c, ctx := serve(t, cluster{}, "0123456789abcdef", "0123456789abcdef"), t.Context()
	if all, err := c.Clusters(ctx); err != nil || len(all) != 1 || all[0].Primary != "a" {
		t.Errorf("%+v %v", all, err)
	}
	if one, err := c.Cluster(ctx, "orders"); err != nil || one.Epoch != 2 {
		t.Errorf("%+v %v", one, err)
	}
	if s, err := c.Kill(ctx, "orders", 9); err != nil || s.User != "app" {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := c.Kill(ctx, "orders", 10); !strings.Contains(fmt.Sprint(err), "no such session") {
		t.Error(err)
	}
	if list, err := c.Sessions(ctx, "orders"); err != nil || len(list) != 1 || list[0].User != "app" {
		t.Errorf("%+v %v", list, err)
	}
	if events, err := c.History(ctx, 0, 10); err != nil || len(events) != 1 {
		t.Errorf("%+v %v", events, err)
	}
	if r, err := c.Switchover(ctx, "orders", api.SwitchoverRequest{To: "b"}); err != nil || r.To != "b" || r.Epoch != 3 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestErrorsCarryReasons(t *testing.T) {
	var status *client.StatusError
	_, err := serve(t, cluster{}, "0123456789abcdef", "wrong").Clusters(t.Context())
	if !errors.As(err, &status) || status.Status != http.StatusUnauthorized {
		t.Errorf("%v", err)
	}
	_, err = serve(t, cluster{}, "", "").Cluster(t.Context(), "a/b")
	if !errors.As(err, &status) || status.Status != http.StatusNotFound || !strings.Contains(err.Error(), "a/b") {
		t.Errorf("%v", err)
	}
	_, err = serve(t, cluster{err: &admin.RefusedError{Reasons: []string{"It lags."}}}, "", "").Switchover(t.Context(), "orders", api.SwitchoverRequest{})
	if !errors.As(err, &status) || status.Status != http.StatusConflict || !strings.Contains(err.Error(), "It lags.") {
		t.Errorf("%v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	c, err := client.New("127.0.0.1:1", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Clusters(t.Context()); err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("%v", err)
	}
	for _, address := range []string{"ftp://x", "http://", "http://[::1"} {
		if _, err := client.New(address, ""); err == nil {
			t.Errorf("%q is accepted", address)
		}
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if c, err = client.New(other.URL, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Clusters(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
}

func TestFailoverCalls(t *testing.T) {
	c, ctx := serve(t, cluster{}, "", ""), t.Context()
	if f, err := c.Failover(ctx, "orders", api.FailoverRequest{To: "b", Force: true}); err != nil || f.To != "b" || f.Fence != "fenced-by-death" {
		t.Errorf("%+v, %v", f, err)
	}
	if r, err := c.Rejoin(ctx, "orders", "a", api.RejoinRequest{Method: "rebuild"}); err != nil || r.Server != "a" || r.Method != "rebuild" {
		t.Errorf("%+v, %v", r, err)
	}
	for now, checks := range map[bool]int{false: 1, true: 2} {
		if d, err := c.Doctor(ctx, "orders", now); err != nil || d.Checks != checks {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if test, err := c.SelfTest(ctx, "orders"); err != nil || !test.OK {
		t.Errorf("%+v, %v", test, err)
	}
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	events, err := c.ClusterHistory(ctx, "orders", client.HistoryQuery{Operation: "fo-1", Kinds: []string{"begin", "end"}, From: from, Limit: 5})
	if err != nil || len(events) != 1 || events[0].Operation != "fo-1" || events[0].Kind != "begin+end" || !events[0].At.Equal(from) || events[0].Cluster != "orders" {
		t.Errorf("%+v, %v", events, err)
	}
	if r, err := c.Report(ctx, "orders", "last"); err != nil || r.Operation != "last" {
		t.Errorf("%+v, %v", r, err)
	}
	var status *client.StatusError
	if _, err := c.Report(ctx, "orders", "none"); !errors.As(err, &status) || status.Status != http.StatusNotFound {
		t.Errorf("%v", err)
	}
	refused := &admin.RefusedError{Reasons: []string{"It has more."}, Rejoin: &api.Rejoin{Verdict: "diverged"}}
	_, err = serve(t, cluster{err: refused}, "", "").Rejoin(ctx, "orders", "a", api.RejoinRequest{})
	if !errors.As(err, &status) || status.Rejoin == nil || status.Rejoin.Verdict != "diverged" {
		t.Errorf("%v", err)
	}
}
