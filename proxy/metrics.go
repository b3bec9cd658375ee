package proxy

import (
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/onewriter/onewriter/internal/wire"
	"github.com/onewriter/onewriter/session"
)

// Metrics are the counters of the data path, one set per cluster. What is counted per command is in meter.
type Metrics struct {
	accepted    prometheus.Counter
	loginFailed prometheus.Counter
	serverLost  prometheus.Counter
	faults      prometheus.Counter
	login       prometheus.Histogram
	held        prometheus.Histogram
	moves       [moveOutcomes]prometheus.Counter
	moveTime    prometheus.Histogram
	pins        []prometheus.Counter // by bit of session.Pin
	errors      *prometheus.CounterVec
	plane       planeCollector
	limitMetrics
}

// moveOutcome is what became of a session that had to get another server connection.
type moveOutcome uint8

const (
	moved        moveOutcome = iota // it is on another server
	reconnected                     // it has a new connection to the server it was on
	movePinned                      // it was closed, because something pins it
	moveRefused                     // it was closed: the server did not accept its login or its state
	unreachable                     // the server could not be reached; it may be tried again
	crowded                         // no connection to the server was free for HoldTimeout
	moveOutcomes = iota
)

// String is the metric label.
func (o moveOutcome) String() string {
	switch o {
	case moved:
		return "moved"
	case reconnected:
		return "reconnected"
	case movePinned:
		return "pinned"
	case moveRefused:
		return "refused"
	case unreachable:
		return "unreachable"
	case crowded:
		return "crowded"
	default:
		return "unknown"
	}
}

// waitBuckets are for what a client waits for: a login, a move, a hold. Seconds.
var waitBuckets = []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

// NewMetrics registers the metrics of the cluster called name with r.
func NewMetrics(r prometheus.Registerer, name string) *Metrics {
	r = prometheus.WrapRegistererWithPrefix("onewriter_", prometheus.WrapRegistererWith(prometheus.Labels{"cluster": name}, r))
	counter := func(n, help string, labels prometheus.Labels) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: n, Help: help, ConstLabels: labels})
		r.MustRegister(c)
		return c
	}
	histogram := func(n, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: n, Help: help, Buckets: waitBuckets})
		r.MustRegister(h)
		return h
	}
	m := &Metrics{
		limitMetrics: newLimitMetrics(r),
		accepted:     counter("client_connections_total", "Client connections accepted.", nil),
		loginFailed:  counter("client_logins_failed_total", "Logins that did not succeed.", nil),
		serverLost:   counter("server_connections_lost_total", "Server connections lost during a command.", nil),
		faults:       counter("session_faults_total", "Sessions ended by a fault of the proxy itself; each is a bug.", nil),
		login:        histogram("login_duration_seconds", "From the accepted connection to a session that takes commands."),
		held:         histogram("hold_duration_seconds", "How long commands and logins waited for a server, of those that had to."),
		moveTime:     histogram("session_move_duration_seconds", "Login and restored state on another server connection, of sessions that got one."),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "client_errors_total", Help: "Errors that clients got from onewriter itself, by MySQL error code.",
		}, []string{"code"}),
	}
	for o := range m.moves {
		m.moves[o] = counter("session_moves_total", "Sessions that had to get another server connection, by outcome.",
			prometheus.Labels{"outcome": moveOutcome(o).String()})
	}
	for _, kind := range session.Pin(^uint32(0)).Kinds() {
		m.pins = append(m.pins, counter("session_pins_total", "How often something began to pin a session to its server connection, by reason.",
			prometheus.Labels{"reason": kind}))
	}
	for _, code := range []int{erConCount, erUnknownCom, erShutdown, erNewAborting, erLockDeadlock, erNoPrimary, erInterrupted} {
		m.errors.WithLabelValues(strconv.Itoa(code)) // a rate sees the first one only if there was a 0 before
	}
	r.MustRegister(m.errors, &m.plane)
	return m
}

// told counts the error err as one that a client was given; those that come from a server are the server's.
func (m *Metrics) told(err error) {
	if errors.As(err, new(*wire.ServerError)) {
		return
	}
	code := uint16(erNewAborting)
	if ce := (*clientError)(nil); errors.As(err, &ce) {
		code = ce.code
	}
	m.errors.WithLabelValues(strconv.Itoa(int(code))).Inc()
}

// pinned counts the reasons in now that were not there before.
func (m *Metrics) pinned(before, now session.Pin) {
	for i, c := range m.pins {
		if bit := session.Pin(1) << i; now&bit != 0 && before&bit == 0 {
			c.Inc()
		}
	}
}

// planeCollector computes at scrape time what the sessions count.
type planeCollector struct{ cluster atomic.Pointer[Cluster] }

var (
	descCommands = prometheus.NewDesc("commands_total", "Commands that a server has executed or refused.", []string{"server", "command"}, nil)
	descFailed   = prometheus.NewDesc("command_errors_total", "Commands that a server has answered with an error.", []string{"server", "command"}, nil)
	descDuration = prometheus.NewDesc("command_duration_seconds",
		"From a command seen to the end of its answer as it came from the server, waiting for a server included.", []string{"server", "command"}, nil)
	descBytes = prometheus.NewDesc("relayed_bytes_total", "Bytes of commands and answers.", []string{"server", "direction"}, nil)
	descPins  = prometheus.NewDesc("session_pins", "Sessions that cannot move to another server connection now, by reason.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (p *planeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCommands, descFailed, descDuration, descBytes, descPins} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *planeCollector) Collect(ch chan<- prometheus.Metric) {
	c := p.cluster.Load()
	if c == nil {
		return
	}
	for _, m := range c.meters {
		m.collect(ch)
	}
	var pins [32]int
	c.each(func(s *clientSession) {
		for bits, i := s.pins.Load(), 0; bits != 0; bits, i = bits>>1, i+1 {
			pins[i] += int(bits & 1)
		}
	})
	for i, kind := range session.Pin(^uint32(0)).Kinds() {
		ch <- prometheus.MustNewConstMetric(descPins, prometheus.GaugeValue, float64(pins[i]), kind)
	}
}

// collect tells what was counted at one server; commands that were never used there are left out.
func (m *meter) collect(ch chan<- prometheus.Metric) {
	var toServer, toClient int64
	for slot, name := range slotNames {
		t := m.count(slot)
		toServer += t.toServer
		toClient += t.toClient
		answered := t.answered()
		if answered+t.unanswered == 0 {
			continue
		}
		ch <- prometheus.MustNewConstMetric(descCommands, prometheus.CounterValue, float64(answered+t.unanswered), m.server, name)
		if answered == 0 {
			continue
		}
		ch <- prometheus.MustNewConstMetric(descFailed, prometheus.CounterValue, float64(t.failed), m.server, name)
		ch <- prometheus.MustNewConstHistogram(descDuration, uint64(answered), t.took.Seconds(), t.cumulated(), m.server, name)
	}
	ch <- prometheus.MustNewConstMetric(descBytes, prometheus.CounterValue, float64(toServer), m.server, "to_server")
	ch <- prometheus.MustNewConstMetric(descBytes, prometheus.CounterValue, float64(toClient), m.server, "to_client")
}

// cumulated gives the buckets as Prometheus wants them: by upper bound in seconds, each with all below it.
func (t *total) cumulated() map[float64]uint64 {
	out := make(map[float64]uint64, len(latencyBounds))
	n := uint64(0)
	for i, bound := range latencyBounds {
		n += uint64(t.buckets[i])
		out[bound.Seconds()] = n
	}
	return out
}
