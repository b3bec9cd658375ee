package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

// Switchover moves the primary role and returns when that is over. A refusal is a *StatusError with status 409, an
// abort one with 503.
func (c *Client) Switchover(ctx context.Context, cluster string, req api.SwitchoverRequest) (api.Switchover, error) {
	var out api.Switchover
	err := c.call(ctx, operationTimeout, http.MethodPost, ofCluster(cluster, "switchover"), req, &out)
	return out, err
}

// Failover moves the primary role without the old primary. Errors are those of Switchover.
func (c *Client) Failover(ctx context.Context, cluster string, req api.FailoverRequest) (api.Failover, error) {
	var out api.Failover
	err := c.call(ctx, operationTimeout, http.MethodPost, ofCluster(cluster, "failover"), req, &out)
	return out, err
}

// Rejoin brings a server back that was left behind. Errors are those of Switchover; a refusal may say in Rejoin what was
// found out about the server.
func (c *Client) Rejoin(ctx context.Context, cluster, server string, req api.RejoinRequest) (api.Rejoin, error) {
	limit := operationTimeout
	if req.Method == "rebuild" {
		limit = rebuildTimeout
	}
	var out api.Rejoin
	err := c.call(ctx, limit, http.MethodPost, ofCluster(cluster, "servers", server, "rejoin"), req, &out)
	return out, err
}

// Kill ends a session, given by Session.ID, and tells what it was. One that is not there is a *StatusError with status
// 404.
func (c *Client) Kill(ctx context.Context, cluster string, session uint64) (api.Session, error) {
	var out api.Session
	err := c.call(ctx, callTimeout, http.MethodDelete, ofCluster(cluster, "sessions", strconv.FormatUint(session, 10)), nil, &out)
	return out, err
}

// Doctor gives the last examination of a cluster or, with now, makes one.
func (c *Client) Doctor(ctx context.Context, cluster string, now bool) (api.Doctor, error) {
	path := ofCluster(cluster, "doctor")
	if now {
		path += "?run=now"
	}
	var out api.Doctor
	err := c.call(ctx, examineTimeout, http.MethodGet, path, nil, &out)
	return out, err
}

// SelfTest proves replication by a row.
func (c *Client) SelfTest(ctx context.Context, cluster string) (api.SelfTest, error) {
	var out api.SelfTest
	err := c.call(ctx, examineTimeout, http.MethodPost, ofCluster(cluster, "doctor", "self-test"), struct{}{}, &out)
	return out, err
}

// HistoryQuery says which events are wanted; zero fields let everything pass.
type HistoryQuery struct {
	Since       uint64 // events with a greater number
	Operation   string
	Kinds       []string
	From, Until time.Time
	Limit       int // the newest ones; 0 leaves it to the server
}

// ClusterHistory gives the events of one cluster that match q, oldest first.
func (c *Client) ClusterHistory(ctx context.Context, cluster string, q HistoryQuery) ([]api.Event, error) {
	values := url.Values{}
	if q.Since > 0 {
		values.Set("since", strconv.FormatUint(q.Since, 10))
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	for key, text := range map[string]string{"operation": q.Operation, "kind": strings.Join(q.Kinds, ",")} {
		if text != "" {
			values.Set(key, text)
		}
	}
	for key, at := range map[string]time.Time{"from": q.From, "until": q.Until} {
		if !at.IsZero() {
			values.Set(key, at.UTC().Format(time.RFC3339))
		}
	}
	var out api.History
	err := c.call(ctx, callTimeout, http.MethodGet, ofCluster(cluster, "history")+"?"+values.Encode(), nil, &out)
	return out.Events, err
}

// Report gives all that the journal knows of one operation; "last" is the latest one that was no dry run.
func (c *Client) Report(ctx context.Context, cluster, operation string) (api.Report, error) {
	var out api.Report
	err := c.call(ctx, callTimeout, http.MethodGet, ofCluster(cluster, "report", operation), nil, &out)
	return out, err
}

// ofCluster is the path of something that belongs to a cluster.
func ofCluster(cluster string, parts ...string) string {
	path := "/api/v1/clusters/" + url.PathEscape(cluster)
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}
