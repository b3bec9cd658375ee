package flavor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// mariadb is the dialect of MariaDB 10.0 and newer. It always has GTIDs, whatever its links use.
type mariadb struct {
	common
	observe   string // the statement of Observe
	lockTable bool   // the plugin metadata_lock_info is loaded
}

func newMariaDB(ctx context.Context, q Querier, base common) (Dialect, error) {
	vars, err := variables(ctx, q, "Variable_name IN ('server_uid')")
	if err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	uid := "''"
	if _, ok := vars["server_uid"]; ok { // since 10.10
		uid = "@@global.server_uid"
	}
	plugins, err := records(ctx, q, `SELECT 1 FROM information_schema.plugins
WHERE plugin_name = 'METADATA_LOCK_INFO' AND plugin_status = 'ACTIVE'`)
	if err != nil {
		return nil, fmt.Errorf("read the plugins: %w", err)
	}
	return &mariadb{common: base, lockTable: len(plugins) > 0, observe: `SELECT @@version AS version,
@@global.server_id AS id, ` + uid + ` AS uuid, @@global.read_only AS ro, @@global.gtid_binlog_state AS binlog_state,
@@global.gtid_slave_pos AS slave_pos, @@global.log_bin AS log_bin, @@global.log_slave_updates AS updates,
@@global.gtid_strict_mode AS strict, UTC_TIMESTAMP(6) AS clock`}, nil
}

// Name implements Dialect.
func (*mariadb) Name() string { return "mariadb" }

// Kind implements Dialect.
func (*mariadb) Kind() Kind { return KindMariaDB }

// Observe implements Observer.
func (d *mariadb) Observe(ctx context.Context, q Querier) (topology.Facts, error) {
	r, err := oneRecord(ctx, q, d.observe)
	if err != nil {
		return topology.Facts{}, fmt.Errorf("read the variables: %w", err)
	}
	pos, err := mariaPosition(r)
	if err != nil {
		return topology.Facts{}, err
	}
	f := topology.Facts{
		Flavor: d.Name(), Version: r.str("version"), ServerID: uint32(r.uint("id")), ServerUUID: r.str("uuid"),
		ReadOnly: r.bool("ro"), Position: pos, GTID: true, GTIDStrict: r.bool("strict"),
		BinaryLog: r.bool("log_bin"), LogsUpdates: r.bool("updates"), Clock: serverClock(r.str("clock")),
	}
	if f.Links, err = d.links(ctx, q); err != nil {
		return topology.Facts{}, fmt.Errorf("read the replication links: %w", err)
	}
	return f, nil
}

// ObserveAt implements Observer.
func (d *mariadb) ObserveAt(ctx context.Context, q Querier, _ gtid.Position) (topology.Facts, error) {
	return d.Observe(ctx, q)
}

// mariaPosition joins what the server has in its binary log with what it applied, so that a standby restored from a
// backup, whose binary log is empty, has a history too.
func mariaPosition(r record) (gtid.Position, error) {
	state, err := gtid.ParseMariaDB(r.str("binlog_state"))
	if err != nil {
		return gtid.Position{}, fmt.Errorf("read gtid_binlog_state: %w", err)
	}
	applied, err := gtid.ParseMariaDB(r.str("slave_pos"))
	if err != nil {
		return gtid.Position{}, fmt.Errorf("read gtid_slave_pos: %w", err)
	}
	return gtid.MergeMariaDB(state, applied), nil
}

func (d *mariadb) links(ctx context.Context, q Querier) ([]topology.Link, error) {
	return readLinks(ctx, q, "SHOW ALL SLAVES STATUS", func(r record, l *topology.Link) {
		l.Channel = r.str("connection_name")
		l.Heartbeats = r.uint("slave_received_heartbeats")
		l.UsesGTID = !strings.EqualFold(r.str("using_gtid"), "No")
		if !l.UsesGTID {
			return
		}
		received, err1 := gtid.ParseMariaDB(r.str("gtid_io_pos"))
		applied, err2 := gtid.ParseMariaDB(r.str("gtid_slave_pos"))
		if err1 == nil && err2 == nil {
			l.Received, l.Applied = received, applied
		}
	})
}

// Position implements Observer.
func (d *mariadb) Position(ctx context.Context, q Querier) (gtid.Position, error) {
	r, err := oneRecord(ctx, q, "SELECT @@global.gtid_binlog_state AS binlog_state, @@global.gtid_slave_pos AS slave_pos")
	if err != nil {
		return gtid.Position{}, fmt.Errorf("read the position: %w", err)
	}
	return mariaPosition(r)
}

// BinlogPosition implements Observer.
func (d *mariadb) BinlogPosition(ctx context.Context, q Querier) (gtid.Position, error) {
	return binlogPosition(ctx, q, "SHOW MASTER STATUS")
}

// SetReadOnly implements Fencer. MariaDB has no super_read_only: accounts with READ_ONLY ADMIN pass.
func (d *mariadb) SetReadOnly(ctx context.Context, q Querier) error {
	return exec(ctx, q, "SET GLOBAL read_only = 1")
}

// SetWritable implements Fencer.
func (d *mariadb) SetWritable(ctx context.Context, q Querier) error {
	if err := exec(ctx, q, "SET GLOBAL read_only = 0"); err != nil {
		return err
	}
	return verifyWritable(ctx, q, d)
}

// ReadOnly implements Fencer.
func (d *mariadb) ReadOnly(ctx context.Context, q Querier) (readOnly, super bool, err error) {
	return readFlags(ctx, q, false)
}

// Wait implements Catcher. MASTER_GTID_WAIT is of no use: it looks at gtid_slave_pos, which stays behind for
// transactions that were born on this server.
func (d *mariadb) Wait(ctx context.Context, q Querier, target gtid.Position) error {
	switch target.Kind() {
	case gtid.KindMariaDB:
		return pollApplied(ctx, q, d, target, time.Millisecond)
	case gtid.KindFile:
		return waitFile(ctx, q, d, "MASTER_POS_WAIT", target)
	case gtid.KindMySQL, gtid.KindUnknown:
		return wrongTarget(d, target)
	default:
		return wrongTarget(d, target)
	}
}

// Applied implements Catcher.
func (d *mariadb) Applied(ctx context.Context, q Querier, target gtid.Position) (bool, error) {
	return applied(ctx, q, d, gtid.KindMariaDB, target)
}

func verifyWritable(ctx context.Context, q Querier, d Fencer) error {
	readOnly, super, err := d.ReadOnly(ctx, q)
	if err != nil {
		return err
	}
	if readOnly || super {
		return fmt.Errorf("%w: read_only=%t super_read_only=%t after both were cleared", ErrNotVerified, readOnly, super)
	}
	return nil
}

// serverClock reads UTC_TIMESTAMP(6); the zero time when it is none.
func serverClock(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05.999999", s)
	if err != nil {
		t, _ = time.Parse(time.RFC3339Nano, s) // the driver's form with parseTime; zero when that fails too
	}
	return t
}
