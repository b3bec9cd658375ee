package chaos

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// diskMB is room for a server and some load.
const diskMB = 400

// TestDiskFull fills the disk of the primary under load. It may crash, hang or refuse writes; whatever it does, the
// cluster recovers once there is room again.
func TestDiskFull(t *testing.T) {
	if err := mysqltest.Disk(); err != nil {
		t.Skip(err)
	}
	for _, s := range []setup{setups[0], setups[3]} {
		if *flavorFlag != "" && *flavorFlag != s.opts.Flavor.String() {
			continue
		}
		t.Run(s.opts.Flavor.String(), func(t *testing.T) {
			t.Parallel()
			s.opts.DiskMB = diskMB
			r := newRig(t, s)
			r.run(func() bool {
				return r.inject(fault{"a full disk", 1, zombie, fillDisk}, rand.New(rand.NewPCG(1, 1)))
			})
		})
	}
}

func fillDisk(r *rig, _ *rand.Rand, p, _ int) error {
	server := r.pair.Servers[p]
	if err := server.FillDisk(); err != nil {
		return err
	}
	r.rest(15 * time.Second)
	st, err := r.prog.status(r.t.Context())
	r.t.Logf("at %s, the disk being full: state %s %q, primary %s, verdict %s %q, %v", r.now().Round(time.Millisecond), st.State, st.Reasons, st.Primary, st.Verdict.Kind, st.Verdict.Evidence, err)
	if err := server.FreeDisk(); err != nil {
		return err
	}
	return r.restart(p)
}
