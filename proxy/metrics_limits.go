package proxy

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// refusal is why a client was turned away.
type refusal uint8

const (
	refusedListener refusal = iota
	refusedUser
	refusedQueue
	refusedQueueTimeout
	refusedDescriptors
	refusedProxyHeader
	refusals
)

var refusalNames = [refusals]string{"max_connections", "max_user_connections", "queue_length", "queue_timeout", "descriptors", "proxy_header"}

// String is the metric's label.
func (r refusal) String() string { return refusalNames[r] }

// timeoutKind is what a client took too long for.
type timeoutKind uint8

const (
	timeoutLogin timeoutKind = iota
	timeoutIdle
	timeoutRead
	timeoutWrite
	timeoutKinds
)

var timeoutNames = [timeoutKinds]string{"handshake", "idle", "command", "answer"}

// String is the metric's label.
func (k timeoutKind) String() string { return timeoutNames[k] }

// limitMetrics count what the limits do.
type limitMetrics struct {
	refusedBy [refusals]prometheus.Counter
	timeouts  [timeoutKinds]prometheus.Counter
	quotas    *quotaCollector
}

func newLimitMetrics(r prometheus.Registerer) limitMetrics {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clients_refused_total", Help: "Clients turned away, by the limit that was reached.",
	}, []string{"reason"})
	timeouts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_timeouts_total", Help: "Clients whose connection was ended because they took too long: to log in, to send a command, to send its rest, to take an answer.",
	}, []string{"waiting_for"})
	m := limitMetrics{quotas: &quotaCollector{}}
	r.MustRegister(refused, timeouts, m.quotas)
	for i := range m.timeouts {
		m.timeouts[i] = timeouts.WithLabelValues(timeoutKind(i).String())
	}
	for i := range m.refusedBy {
		m.refusedBy[i] = refused.WithLabelValues(refusal(i).String())
	}
	return m
}

// refuse counts a client that is turned away.
func (m *Metrics) refuse(r refusal) { m.refusedBy[r].Inc() }

// timeout counts a client that took too long.
func (m *Metrics) timeout(k timeoutKind) { m.timeouts[k].Inc() }

// quotaCollector shows what is taken of the servers' quotas when it is asked.
type quotaCollector struct{ cluster atomic.Pointer[Cluster] }

var (
	descServerConns   = prometheus.NewDesc("server_connections", "Connections of sessions to the server.", []string{"server"}, nil)
	descLoginsActive  = prometheus.NewDesc("server_logins_active", "Logins and rebuilds under way at the server.", []string{"server"}, nil)
	descLoginsPending = prometheus.NewDesc("server_logins_pending", "Connections to the server that wait for their client to log in.", []string{"server"}, nil)
	descLoginsWaiting = prometheus.NewDesc("server_logins_waiting", "Sessions that wait for a place at the server.", []string{"server"}, nil)
)

// Describe implements prometheus.Collector.
func (c *quotaCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descServerConns, descLoginsActive, descLoginsPending, descLoginsWaiting} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *quotaCollector) Collect(out chan<- prometheus.Metric) {
	cluster := c.cluster.Load()
	if cluster == nil {
		return
	}
	for name, q := range cluster.quotas {
		gauge := func(d *prometheus.Desc, n int) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), name)
		}
		connections, forConnection := q.connections.count()
		logins, forLogin := q.logins.count()
		pending, toRelay := q.pending.count()
		gauge(descServerConns, connections)
		gauge(descLoginsActive, logins)
		gauge(descLoginsPending, pending)
		gauge(descLoginsWaiting, forConnection+forLogin+toRelay)
	}
}
