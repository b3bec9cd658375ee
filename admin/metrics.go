package admin

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/onewriter/onewriter/admin/api"
)

// metrics holds what the endpoint itself counts and computes what it can read from the clusters at scrape time.
type metrics struct {
	clusters    []Cluster
	switchovers *prometheus.CounterVec
	pause       *prometheus.HistogramVec
	build       *prometheus.GaugeVec
	operations  operationMetrics
}

var (
	descEpoch     = clusterDesc("epoch", "Number of the present reign; grows whenever the primary role moves.")
	descState     = clusterDesc("state", "1 for the state the cluster is in, 0 for the others.", "state")
	descWriter    = clusterDesc("is_writer", "1 while clients of the cluster can write through this process.")
	descHealthy   = clusterDesc("server_healthy", "1 when the last probe of the server was good.", "server")
	descPrimary   = clusterDesc("server_is_primary", "1 for the server that is the primary.", "server")
	descReadOnly  = clusterDesc("server_read_only", "1 when ordinary accounts cannot write on the server, as far as it was seen last; absent when it never was.", "server")
	descLag       = clusterDesc("replication_lag_seconds", "How far the standby is behind; absent when unknown.", "server")
	descOnServer  = clusterDesc("server_sessions", "Client sessions that have a connection to the server.", "server")
	descSessions  = clusterDesc("sessions", "Client sessions.")
	descInTx      = clusterDesc("sessions_in_transaction", "Client sessions in an open transaction.")
	descPinned    = clusterDesc("sessions_pinned", "Client sessions that cannot move to another server now.")
	descHeld      = clusterDesc("sessions_held", "Client sessions that wait for a primary.")
	descListener  = clusterDesc("listener_sessions", "Client sessions of a listener.", "listener", "route")
	descVerdict   = clusterDesc("verdict", "1 for what is the matter with the primary, 0 for the others.", "verdict")
	descAway      = clusterDesc("servers_away", "Servers that were left behind and may not serve before they are proved clean.")
	descBlocked   = clusterDesc("failover_blocked", "1 while the mode is automatic and no failover would happen.")
	descFindings  = clusterDesc("doctor_findings", "Findings of the last examination.", "severity")
	descUnchecked = clusterDesc("doctor_failed_checks", "Checks of the last examination that could not be made.")
	clusterStates = []string{"starting", "running", "switching", "split", "no_primary", "degraded"}
	verdicts      = []string{
		"UNKNOWN", "FINE", "SUSPECT", "LEAVING", "WRITE_STUCK", "MY_LINK", "ISOLATED", "CONFIRMED_DOWN", "CONFIRMED_UNREACHABLE", "NO_CANDIDATE", "SPLIT",
	}
	severities = []string{"info", "warning", "critical"}
)

func clusterDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("onewriter_"+name, help, append([]string{"cluster"}, labels...), nil)
}

func newMetrics(clusters []Cluster, version string) *metrics {
	m := &metrics{
		clusters: clusters,
		switchovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onewriter_switchovers_total", Help: "Switchovers asked for, by outcome.",
		}, []string{"cluster", "outcome"}),
		pause: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "onewriter_switchover_pause_seconds", Help: "How long no client could write during a switchover.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"cluster"}),
		build: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "onewriter_build_info", Help: "Always 1; the labels name the version.",
		}, []string{"version", "go_version"}),
	}
	m.operations = newOperationMetrics(clusters)
	m.build.WithLabelValues(version, runtime.Version()).Set(1)
	for _, c := range clusters {
		for _, outcome := range []string{"completed", "dry_run", "refused", "aborted", "failed"} {
			m.switchovers.WithLabelValues(c.Name(), outcome)
		}
	}
	return m
}

// register adds everything to r, and the metrics of the Go runtime and the process where r has none yet.
func (m *metrics) register(r *prometheus.Registry) error {
	for _, c := range append(m.operations.collectors(), m, m.switchovers, m.pause, m.build) {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := r.Register(c); err != nil && !alreadyThere(err) {
			return err
		}
	}
	return nil
}

func alreadyThere(err error) bool {
	_, ok := err.(prometheus.AlreadyRegisteredError) //nolint:errorlint // the library returns it unwrapped
	return ok
}

func (m *metrics) switchover(cluster, outcome string, pauseMS float64) {
	m.switchovers.WithLabelValues(cluster, outcome).Inc()
	if outcome == "completed" {
		m.pause.WithLabelValues(cluster).Observe(pauseMS / 1000)
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descEpoch, descState, descWriter, descHealthy, descPrimary, descReadOnly, descLag, descOnServer, descSessions, descInTx, descPinned, descHeld, descListener,
		descVerdict, descAway, descBlocked, descFindings, descUnchecked,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.clusters {
		collect(ch, c)
	}
}

func collect(ch chan<- prometheus.Metric, c Cluster) {
	st := status(c)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{st.Name}, labels...)...)
	}
	_, why := primaryOf(st)
	gauge(descEpoch, float64(st.Epoch))
	gauge(descWriter, number(why == ""))
	for _, name := range clusterStates {
		gauge(descState, number(name == st.State), name)
	}
	for _, s := range st.Servers {
		gauge(descHealthy, number(s.Healthy), s.Name)
		gauge(descPrimary, number(s.Name == st.Primary), s.Name)
		if s.Version != "" { // it was seen
			gauge(descReadOnly, number(s.ReadOnly), s.Name)
		}
		gauge(descOnServer, float64(s.Sessions), s.Name)
		if s.LagSeconds != nil {
			gauge(descLag, *s.LagSeconds, s.Name)
		}
	}
	gauge(descSessions, float64(st.Sessions.Total))
	gauge(descInTx, float64(st.Sessions.InTransaction))
	gauge(descPinned, float64(st.Sessions.Pinned))
	gauge(descHeld, float64(st.Sessions.Held))
	for _, l := range st.Listeners {
		gauge(descListener, float64(l.Sessions), l.Address, l.Route)
	}
	for _, name := range verdicts {
		gauge(descVerdict, number(name == st.Verdict.Kind), name)
	}
	gauge(descAway, float64(len(st.Away)))
	gauge(descBlocked, number(len(st.Blocked) > 0))
	found := c.Findings()
	for _, severity := range severities {
		gauge(descFindings, float64(count(found.Findings, severity)), severity)
	}
	gauge(descUnchecked, float64(len(found.Failed)))
}

func count(findings []api.Finding, severity string) (n int) {
	for _, f := range findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
