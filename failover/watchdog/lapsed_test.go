package watchdog

import (
	"testing"
	"time"
)

func TestLapsed(t *testing.T) {
	const ttl = 4 * time.Second
	for _, c := range []struct {
		what          string
		ago           []time.Duration // when answered renewals were sent
		lapsed, known bool
	}{
		{"none", nil, false, false},
		{"in time", []time.Duration{3 * time.Second, 2 * time.Second, 500 * time.Millisecond}, false, true},
		{"the last one is long ago", []time.Duration{9 * time.Second, 8 * time.Second}, true, true},
		{"the last one came late", []time.Duration{9 * time.Second, 8 * time.Second, 100 * time.Millisecond}, true, true},
		{"one came late, long ago", []time.Duration{14 * time.Second, 6 * time.Second, 4500 * time.Millisecond, 3 * time.Second, time.Second}, false, true},
	} {
		r := &Renewer{cfg: Config{TTL: ttl}, renewed: map[string]time.Time{}, confirmed: map[string]time.Time{}, late: map[string]time.Time{}}
		now := time.Now()
		for _, ago := range c.ago {
			r.confirm("a", now.Add(-ago))
		}
		if lapsed, known := r.Lapsed("a"); lapsed != c.lapsed || known != c.known {
			t.Errorf("%s: %t, known %t", c.what, lapsed, known)
		}
		r.forget("a")
		if lapsed, known := r.Lapsed("a"); lapsed || known {
			t.Errorf("%s, of a reign before: %t, known %t", c.what, lapsed, known)
		}
	}
}
