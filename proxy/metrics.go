package proxy

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the counters of the data path, one set per cluster.
type Metrics struct {
	accepted      prometheus.Counter
	refused       prometheus.Counter
	loginFailed   prometheus.Counter
	rebuilt       prometheus.Counter
	rebuildFailed prometheus.Counter
	serverLost    prometheus.Counter
	faults        prometheus.Counter
}

// NewMetrics registers the counters of the cluster called name with r.
func NewMetrics(r prometheus.Registerer, name string) *Metrics {
	counter := func(n, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{
			Name: "onewriter_" + n, Help: help, ConstLabels: prometheus.Labels{"cluster": name},
		})
		r.MustRegister(c)
		return c
	}
	return &Metrics{
		accepted:      counter("client_connections_total", "Client connections accepted."),
		refused:       counter("client_connections_refused_total", "Client connections refused for want of a free session."),
		loginFailed:   counter("client_logins_failed_total", "Logins that did not succeed."),
		rebuilt:       counter("sessions_rebuilt_total", "Sessions rebuilt on another server connection."),
		rebuildFailed: counter("session_rebuilds_failed_total", "Sessions that a server refused to restore."),
		serverLost:    counter("server_connections_lost_total", "Server connections lost during a command."),
		faults:        counter("session_faults_total", "Sessions ended by a fault of the proxy itself; each is a bug."),
	}
}
