package proxy

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/prometheus/client_golang/prometheus"
)

// TestAFaultEndsItsSessionOnly makes the TLS library fail in one session.
func TestAFaultEndsItsSessionOnly(t *testing.T) {
	var faulty atomic.Bool
	registry := prometheus.NewRegistry()
	bed := newTestbed(t, func(c *Config) {
		c.Metrics = NewMetrics(registry, "test")
		c.Listeners[0].TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if faulty.Load() {
				panic("a bug")
			}
			return nil, errors.New("no certificate")
		}}
	})
	other := bed.client()
	other.wantAt("a")
	faulty.Store(true)
	for range 3 {
		_, err := bed.connectTo(0, func(c *mysql.Config) { c.TLS = &tls.Config{InsecureSkipVerify: true} })
		if err == nil {
			t.Fatal("the session goes on")
		}
	}
	bed.eventually("only the other session is left", func() bool { return bed.cluster.Count() == 1 && bed.cluster.Listeners()[0].Sessions() == 1 })
	if n := scrape(t, registry)(`onewriter_session_faults_total{cluster="test"}`); n != 3 {
		t.Errorf("%v faults are counted", n)
	}
	other.wantAt("a")
}
