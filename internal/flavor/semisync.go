package flavor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SemiSync is the state of semi-synchronous replication on one server.
type SemiSync struct {
	Available bool // the server has it (built in or plugin installed)
	Source    bool // the source side is switched on
	Replica   bool // the replica side is switched on
	Active    bool // the source side really waits for acknowledgements now; off after a timeout
	Clients   int  // replicas that acknowledge
	// Acknowledges: its receiver has agreed with its source that it acknowledges. One that connected before either had
	// semi-sync, or before the replica side was switched on, does not, whatever Replica says; nor does one that lost it.
	Acknowledges bool
	// Timeout is how long a commit waits before the server goes on without acknowledgement.
	Timeout time.Duration
	// AfterSync: commits become visible only after the acknowledgement (wait point AFTER_SYNC).
	AfterSync bool
	// WaitsAlone: a commit waits also while no replica is connected that could acknowledge it (wait_no_slave).
	WaitsAlone bool
}

const semiSyncLike = "Variable_name LIKE 'rpl_semi_sync_%'"

// SemiSync implements Replicator.
func (common) SemiSync(ctx context.Context, q Querier) (SemiSync, error) {
	vars, err := semiSyncVariables(ctx, q)
	if err != nil {
		return SemiSync{}, fmt.Errorf("read the semi-sync variables: %w", err)
	}
	s := SemiSync{
		Available: len(vars) > 0,
		Source:    truth(vars["master_enabled"]), Replica: truth(vars["slave_enabled"]),
		AfterSync:  vars["master_wait_point"] == "AFTER_SYNC",
		WaitsAlone: truth(vars["master_wait_no_slave"]),
	}
	if ms, err := strconv.ParseInt(vars["master_timeout"], 10, 64); err == nil {
		s.Timeout = time.Duration(min(ms, int64(1<<63-1)/int64(time.Millisecond))) * time.Millisecond
	}
	if !s.Source && !s.Replica {
		return s, nil
	}
	status, err := records(ctx, q, "SHOW GLOBAL STATUS WHERE "+semiSyncLike)
	if err != nil {
		return SemiSync{}, fmt.Errorf("read the semi-sync status: %w", err)
	}
	for _, r := range status {
		switch semiSyncKey(r.str("variable_name")) {
		case "master_status":
			s.Active = s.Source && r.bool("value")
		case "master_clients":
			if s.Source {
				s.Clients = int(r.uint("value"))
			}
		case "slave_status":
			s.Acknowledges = s.Replica && r.bool("value")
		}
	}
	return s, nil
}

// semiSyncKey gives master_enabled for rpl_semi_sync_source_enabled and Rpl_semi_sync_master_enabled.
func semiSyncKey(name string) string {
	return strings.TrimPrefix(columnKey(name), "rpl_semi_sync_")
}

// semiSyncVariables gives the variables by semiSyncKey; none when the server has no semi-sync.
func semiSyncVariables(ctx context.Context, q Querier) (map[string]string, error) {
	vars, err := variables(ctx, q, semiSyncLike)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(vars))
	for name, value := range vars {
		out[semiSyncKey(name)] = value
	}
	return out, nil
}

// SetSemiSyncSource implements Replicator. Switching it off lets the commits go that wait, and returns when none waits any
// more, so that an applier is not held up by one of its own for the rest of the timeout.
func (common) SetSemiSyncSource(ctx context.Context, q Querier, on bool) error {
	if err := setSemiSync(ctx, q, "master_enabled", on); err != nil || on {
		return err
	}
	return awaitRelease(ctx, q)
}

// How often it is asked whether a commit still waits, and how long until they are waked once more, and at most.
const (
	releaseLook  = 5 * time.Millisecond
	releaseAgain = 20 // looks
	releaseLooks = 100
)

// awaitRelease waits until no commit waits for an acknowledgement. One that has missed that it may go is waked again by
// switching on and off once more. What does not go even then goes when its time is up; that is no error.
func awaitRelease(ctx context.Context, q Querier) error {
	for look := 1; look <= releaseLooks; look++ {
		waiting, err := semiSyncCount(ctx, q, "master_wait_sessions")
		if err != nil || waiting == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(releaseLook):
		}
		if look%releaseAgain != 0 {
			continue
		}
		for _, on := range []bool{true, false} {
			if err := setSemiSync(ctx, q, "master_enabled", on); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetSemiSyncReplica implements Replicator.
func (common) SetSemiSyncReplica(ctx context.Context, q Querier, on bool) error {
	return setSemiSync(ctx, q, "slave_enabled", on)
}

// setSemiSync sets the variable under the name this server has for it: MySQL 8.0.26 and newer have plugins with the
// old and with the new names, and either can be installed.
func setSemiSync(ctx context.Context, q Querier, key string, on bool) error {
	vars, err := variables(ctx, q, "Variable_name LIKE 'rpl_semi_sync_%_enabled'")
	if err != nil {
		return fmt.Errorf("read the semi-sync variables: %w", err)
	}
	for name := range vars {
		if semiSyncKey(name) == key {
			return exec(ctx, q, fmt.Sprintf("SET GLOBAL %s = %t", name, on))
		}
	}
	if on {
		return ErrNoSemiSync
	}
	return nil
}
