package admin

import (
	"context"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/onewriter/onewriter/admin/api"
)

// operationMetrics counts failovers and rejoins from the journal, because most of them are asked for by nobody.
type operationMetrics struct {
	failovers *prometheus.CounterVec
	pause     *prometheus.HistogramVec
	rejoins   *prometheus.CounterVec
}

func newOperationMetrics(clusters []Cluster) operationMetrics {
	m := operationMetrics{
		failovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onewriter_failovers_total", Help: "Unplanned failovers, automatic and asked for, by outcome and by what fenced the old primary.",
		}, []string{"cluster", "outcome", "fence"}),
		pause: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "onewriter_failover_pause_seconds", Help: "How long no client could write during a failover, from the moment clients were held.",
			Buckets: []float64{.1, .2, .5, 1, 2, 3, 5, 10, 20, 30, 60},
		}, []string{"cluster"}),
		rejoins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onewriter_rejoins_total", Help: "Attempts to bring a server back, automatic and asked for, by outcome.",
		}, []string{"cluster", "outcome"}),
	}
	for _, c := range clusters {
		for _, outcome := range []string{"completed", "refused", "aborted"} {
			m.rejoins.WithLabelValues(c.Name(), outcome)
			if outcome != "completed" {
				m.failovers.WithLabelValues(c.Name(), outcome, "")
			}
		}
		for _, fence := range []string{"fenced-proved", "fenced-by-death", "fenced-by-semisync", "fenced-by-command", "fenced-by-watchdog", "not-fenced"} {
			m.failovers.WithLabelValues(c.Name(), "completed", fence)
		}
	}
	return m
}

func (m operationMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.failovers, m.pause, m.rejoins}
}

// observe counts e if it is the end of a failover or rejoin.
func (m operationMetrics) observe(e api.Event) {
	if e.Kind != "end" && e.Kind != "refused" {
		return
	}
	switch {
	case strings.HasPrefix(e.Operation, "fo-"):
		fence := ""
		if e.Outcome == "completed" {
			fence = e.Evidence["fence"]
			if ms, err := strconv.ParseFloat(e.Evidence["pause_ms"], 64); err == nil {
				m.pause.WithLabelValues(e.Cluster).Observe(ms / 1000)
			}
		}
		m.failovers.WithLabelValues(e.Cluster, e.Outcome, fence).Inc()
	case strings.HasPrefix(e.Operation, "rj-"):
		m.rejoins.WithLabelValues(e.Cluster, e.Outcome).Inc()
	}
}

// countOperations observes what is written to the journal from now on, until ctx is done.
func (s *Server) countOperations(ctx context.Context) {
	if s.cfg.Journal == nil {
		return
	}
	// The error is that of ctx: observing never fails.
	_ = s.cfg.Journal.Follow(ctx, s.began, func(e api.Event) error {
		s.metrics.operations.observe(e)
		return nil
	})
}

// newestEvent is the number of the newest event that there is.
func newestEvent(j Journal) uint64 {
	if j == nil {
		return 0
	}
	events := j.Events(0)
	if len(events) == 0 {
		return 0
	}
	return events[len(events)-1].Seq
}
