package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// endless is a semi-sync time-out that counts as never giving up.
const endless = time.Hour

// semiSync looks at who waits for whom.
func semiSync(ctx context.Context, x *examination, s *server) error {
	state, err := s.dialect.SemiSync(ctx, s.q)
	if err != nil {
		return err
	}
	if !state.Source {
		return nil
	}
	source := s.variable("rpl_semi_sync_source_enabled", "rpl_semi_sync_master_enabled")
	switch {
	case x.primary == "":
		return errNoPrimary
	case x.isStandby(s):
		x.find("SEMISYNC_SOURCE_ON_STANDBY", s.name(), "It is a standby and waits for an acknowledgement of what it commits. On MySQL its applier hangs until somebody acknowledges; on MariaDB the first commit after it became the primary does.",
			[]string{source + " is ON"}, "SET GLOBAL "+source+" = 0", "remove it from my.cnf: Onewriter switches it with the role")
	default:
		x.semiSyncPrimary(s, state)
	}
	return nil
}

func (x *examination) semiSyncPrimary(s *server, state flavor.SemiSync) {
	point := s.variable("rpl_semi_sync_source_wait_point", "rpl_semi_sync_master_wait_point")
	if !state.AfterSync {
		x.find("SEMISYNC_AFTER_COMMIT", s.name(), "Semi-sync waits after the commit, so others see rows before a standby has them. After a failover such rows are gone although they were read.",
			[]string{point + " is " + s.v(point)}, "SET GLOBAL "+point+" = 'AFTER_SYNC'", "my.cnf: "+point+" = AFTER_SYNC")
	}
	timeout := s.variable("rpl_semi_sync_source_timeout", "rpl_semi_sync_master_timeout")
	alone := s.variable("rpl_semi_sync_source_wait_no_replica", "rpl_semi_sync_master_wait_no_slave")
	if state.Timeout < endless || !on(s.v(alone)) {
		x.find("SEMISYNC_FALLBACK", s.name(), "Semi-sync gives up when no standby acknowledges in time, and goes on without. That keeps writes going when a standby is down; but from then on a failover can lose acknowledged rows, and Onewriter cannot use semi-sync as a proof.",
			[]string{fmt.Sprintf("%s is %s ms", timeout, s.v(timeout)), alone + " is " + s.v(alone)},
			"if no acknowledged row may be lost: SET GLOBAL "+timeout+" = 1000000000", "SET GLOBAL "+alone+" = 1")
	}
	if !state.Active || state.Clients == 0 {
		x.find("SEMISYNC_ALONE", s.name(), "Semi-sync is on, but nobody acknowledges: commits hang, or go on unprotected. The replica side must be on at a standby, and its receiver restarted after that.",
			[]string{fmt.Sprintf("acknowledging replicas: %d, active: %t", state.Clients, state.Active)},
			"on the standby: SET GLOBAL "+s.variable("rpl_semi_sync_replica_enabled", "rpl_semi_sync_slave_enabled")+" = 1, then restart its IO_THREAD when it is not behind")
	}
}
