package auth

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// took runs fn and tells how long it slept.
func took(t *testing.T, fn func(context.Context, string) error, source string) time.Duration {
	t.Helper()
	start := time.Now()
	if err := fn(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

func TestLimiterHoldsBackRefusalsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		for range limiterBurst {
			if d := took(t, l.failed, "10.0.0.1"); d != 0 {
				t.Fatalf("a refusal within the burst is held back by %v", d)
			}
		}
		if d := took(t, l.failed, "10.0.0.1"); d != limiterDelay {
			t.Fatalf("a refusal after the burst is held back by %v", d)
		}
		if d := took(t, l.admit, "10.0.0.1"); d != 0 {
			t.Fatalf("a login from the same address is delayed by %v", d)
		}
		if d := took(t, l.failed, "10.0.0.2"); d != 0 {
			t.Fatalf("a refusal at another address is held back by %v", d)
		}
		time.Sleep(time.Minute)
		if d := took(t, l.failed, "10.0.0.1"); d != 0 {
			t.Fatalf("held back by %v after a minute", d)
		}
	})
}

func TestLimiterDelaysLoginsInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		for range 10 * limiterFlood {
			l.count(network("10.0.0.1"))
		}
		if d := took(t, l.admit, "10.0.0.1"); d != limiterDelay {
			t.Fatalf("delayed by %v", d)
		}
		if d := took(t, l.admit, "10.0.0.2"); d != 0 {
			t.Fatalf("another address is delayed by %v", d)
		}
		time.Sleep(limiterFlood * limiterRefill)
		if d := took(t, l.admit, "10.0.0.1"); d != 0 {
			t.Fatalf("delayed by %v after the flood", d)
		}
	})
}

func TestLimiterCountsNetworks(t *testing.T) {
	for source, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1": "2001:db8:1:2::/64", "2001:db8:1:3::1": "2001:db8:1:3::/64", "fe80::1%eth0": "fe80::/64", "@": "@",
	} {
		if got := network(source); got != want {
			t.Errorf("network(%q) = %q, want %q", source, got, want)
		}
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter()
	for i := range 3 * limiterSources {
		l.count(fmt.Sprint(i))
	}
	if n := len(l.sources); n > limiterSources {
		t.Fatalf("%d sources", n)
	}
}
