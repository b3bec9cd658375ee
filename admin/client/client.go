package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onewriter/onewriter/admin/api"
)

// DefaultAddress is where `onewriter serve` listens unless its configuration says otherwise.
const DefaultAddress = "http://127.0.0.1:8989"

// Limits of one call.
const (
	callTimeout      = 10 * time.Second
	examineTimeout   = 90 * time.Second // the server bounds it; this is for a server that hangs
	operationTimeout = 5 * time.Minute  // likewise
	rebuildTimeout   = 25 * time.Hour   // copying all data takes as long as it takes
	maxAnswer        = 16 << 20         // bytes
)

// Client calls one admin endpoint. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// StatusError is an answer with a status from 400 on.
type StatusError struct {
	api.Problem
}

// Error gives the detail and the reasons.
func (e *StatusError) Error() string {
	parts := []string{}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	for _, r := range e.Reasons {
		if r != e.Detail {
			parts = append(parts, r)
		}
	}
	if len(parts) == 0 {
		parts = append(parts, e.Title)
	}
	return strings.Join(parts, " ")
}

// New returns a client for the endpoint at address, a URL or host:port. The token may be empty.
func New(address, token string) (*Client, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: %w", address, err)
	}
	if (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("admin address %q is not http://host:port", address)
	}
	transport := &http.Transport{
		DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext, Proxy: http.ProxyFromEnvironment, MaxIdleConns: 4, IdleConnTimeout: time.Minute,
	}
	return &Client{base: base, token: token, http: &http.Client{Transport: transport}}, nil
}

// Clusters gives the status of every cluster.
func (c *Client) Clusters(ctx context.Context) ([]api.Cluster, error) {
	var out api.Clusters
	if err := c.call(ctx, callTimeout, http.MethodGet, "/api/v1/clusters", nil, &out); err != nil {
		return nil, err
	}
	return out.Clusters, nil
}

// Cluster gives the status of one cluster.
func (c *Client) Cluster(ctx context.Context, name string) (api.Cluster, error) {
	var out api.Cluster
	err := c.call(ctx, callTimeout, http.MethodGet, "/api/v1/clusters/"+url.PathEscape(name), nil, &out)
	return out, err
}

// Sessions lists the client sessions of one cluster.
func (c *Client) Sessions(ctx context.Context, cluster string) ([]api.Session, error) {
	var out api.Sessions
	err := c.call(ctx, callTimeout, http.MethodGet, "/api/v1/clusters/"+url.PathEscape(cluster)+"/sessions", nil, &out)
	return out.Sessions, err
}

// History gives the kept events after since, oldest first, at most limit of the newest.
func (c *Client) History(ctx context.Context, since uint64, limit int) ([]api.Event, error) {
	var out api.History
	err := c.call(ctx, callTimeout, http.MethodGet, fmt.Sprintf("/api/v1/history?since=%d&limit=%d", since, limit), nil, &out)
	return out.Events, err
}

func (c *Client) call(ctx context.Context, limit time.Duration, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask onewriter at %s: %w (is it running? another address: --admin or ONEWRITER_ADMIN)", c.base, cause(err))
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return statusError(resp, data)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("the answer of %s is not that of onewriter: %w", c.base, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base.String(), "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", rand.Text())
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

func statusError(resp *http.Response, data []byte) error {
	e := &StatusError{}
	if err := json.Unmarshal(data, &e.Problem); err != nil || e.Status == 0 {
		e.Problem = api.Problem{Status: resp.StatusCode, Title: resp.Status, Detail: "The server answered " + resp.Status + "."}
	}
	if resp.StatusCode == http.StatusUnauthorized {
		e.Detail += " (--token-file or ONEWRITER_ADMIN_TOKEN)"
	}
	return e
}

// cause takes the URL and method, which the caller names anyway, off an error of package http.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
