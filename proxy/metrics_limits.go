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
	refusals
)

var refusalNames = [refusals]string{"max_connections", "max_user_connections", "queue_length", "queue_timeout", "descriptors"}

// String is the metric's label.
func (r refusal) String() string { return refusalNames[r] }

// limitMetrics count what the limits do.
type limitMetrics struct {
	refusedBy [refusals]prometheus.Counter
	quotas    *quotaCollector
}

func newLimitMetrics(r prometheus.Registerer) limitMetrics {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clients_refused_total", Help: "Clients turned away, by the limit that was reached.",
	}, []string{"reason"})
	m := limitMetrics{quotas: &quotaCollector{}}
	r.MustRegister(refused, m.quotas)
	for i := range m.refusedBy {
		m.refusedBy[i] = refused.WithLabelValues(refusal(i).String())
	}
	return m
}

// refuse counts a client that is turned away.
func (m *Metrics) refuse(r refusal) {
	m.refusedBy[r].Inc()
	m.refused.Inc()
}

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
