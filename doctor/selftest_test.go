package doctor

import (
	"testing"
	"time"

	"github.com/onewriter/onewriter/topology"
)

func TestSelfTest(t *testing.T) {
	onWards(t, func(w *ward) {
		w.d.limits.selfTest = 2 * time.Second
		got := w.d.SelfTest(w.Context())
		if !got.OK || got.Primary != "a" || len(got.Legs) != 2 || len(got.Problems) != 0 {
			w.Fatalf("%+v", got)
		}
		if there, back := got.Legs[0], got.Legs[1]; !there.OK || there.To != "b" || there.RoundTrip <= 0 || !back.OK || !back.Reverse || back.To != "a" || back.RoundTrip != 0 {
			w.Errorf("%+v", got.Legs)
		}
		w.Logf("%s: %+v", got.Took, got.Legs)

		w.stop("b", "SQL_THREAD")
		if got := w.d.SelfTest(w.Context()); got.OK || got.Legs[0].OK || len(got.Problems) == 0 {
			w.Errorf("the applier of b is stopped: %+v", got)
		}
		w.start("b")
		w.stop("a", "IO_THREAD")
		if got := w.d.SelfTest(w.Context()); got.OK || !got.Legs[0].OK || got.Legs[1].OK || len(got.Problems) != 1 {
			w.Errorf("the receiver of a is stopped: %+v", got)
		}
		w.start("a")
	})
}

// TestSelfTestWritesOnTheOpenPrimaryOnly: neither a closed server nor a standby gets a row.
func TestSelfTestWritesOnTheOpenPrimaryOnly(t *testing.T) {
	onWards(t, func(w *ward) {
		w.on("a", "SET GLOBAL read_only=1")
		before := w.value("a", "SELECT MAX(beat) AS v FROM onewriter.heartbeat WHERE server_id=0", "v")
		if got := w.d.SelfTest(w.Context()); got.OK || len(got.Legs) != 1 {
			w.Errorf("the primary is closed: %+v", got)
		}
		if after := w.value("a", "SELECT MAX(beat) AS v FROM onewriter.heartbeat WHERE server_id=0", "v"); after != before {
			w.Error("a row was written on a closed server")
		}
		w.on("a", "SET GLOBAL read_only=0")
		w.d = w.doctor(func(c *Config) { c.Primary = func() topology.Primary { return topology.Primary{} } })
		w.on("b", w.word("SET GLOBAL read_only=0", "SET GLOBAL super_read_only=0, read_only=0"))
		if got := w.d.SelfTest(w.Context()); got.OK || got.Primary != "" {
			w.Errorf("two servers are writable and none is published: %+v", got)
		}
		w.on("b", w.word("SET GLOBAL read_only=1", "SET GLOBAL super_read_only=1"))
	})
}
