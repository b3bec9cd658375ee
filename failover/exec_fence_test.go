package failover

import (
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// Commits that wait for an acknowledgement keep the watchdog from closing a server, and are acknowledged at their time-out.
func TestClosesAfter(t *testing.T) {
	const watchdog = 8 * time.Second
	for name, c := range map[string]struct {
		was  flavor.SemiSync
		want time.Duration // 0: never for certain
	}{
		"none":         {flavor.SemiSync{}, watchdog},
		"replica side": {flavor.SemiSync{Available: true, Replica: true, Timeout: 10 * time.Second}, watchdog},
		"defaults":     {flavor.SemiSync{Available: true, Source: true, Active: true, Timeout: 10 * time.Second}, watchdog + 12*time.Second},
		"fallen back":  {flavor.SemiSync{Available: true, Source: true, Timeout: 10 * time.Second}, watchdog + 12*time.Second},
		"long":         {flavor.SemiSync{Available: true, Source: true, Timeout: time.Minute}, 0},
		"for ever":     {flavor.SemiSync{Available: true, Source: true, WaitsAlone: true, Timeout: 1e6 * time.Second}, 0},
	} {
		got, err := closesAfter(watchdog, c.was)
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}
