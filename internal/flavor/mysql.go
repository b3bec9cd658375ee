package flavor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// mysql is the dialect of MySQL and its relatives (Percona Server). The versions differ in words and in what is
// there; the words are in mysql56.go and mysql84.go.
type mysql struct {
	common
	kind       Kind
	words      words
	hasSuper   bool   // super_read_only (5.7.8, Percona Server 5.6)
	gtid       bool   // gtid_mode was not OFF when the dialect was detected
	gtidWait   bool   // WAIT_FOR_EXECUTED_GTID_SET (5.7)
	metaLocks  bool   // performance_schema.metadata_locks may be read
	observe    string // the statement of Observe
	heartbeats bool   // observe reads heartbeat counters
}

// words are the statements that were renamed over the versions.
type words struct {
	showReplica, showBinlog string // SHOW ...
	stop, start, reset      string
	change                  string
	posWait                 string
	source                  string // prefix of the options of change: SOURCE or MASTER
	updates                 string // the variable log_slave_updates
}

func newMySQL(ctx context.Context, q Querier, base common, v release) (Dialect, error) {
	d := &mysql{
		common: base, kind: mysqlKind(v), words: mysqlWords(v),
		gtidWait: v.atLeast(5, 7, 5),
	}
	vars, err := variables(ctx, q, "Variable_name IN ('gtid_mode', 'super_read_only')")
	if err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	d.gtid = gtidOn(vars["gtid_mode"])
	_, d.hasSuper = vars["super_read_only"]
	if v.atLeast(8, 0, 0) {
		d.metaLocks, err = readable(ctx, q, "SELECT 1 FROM performance_schema.metadata_locks LIMIT 1")
		if err != nil {
			return nil, err
		}
	}
	d.heartbeats, err = readable(ctx, q, "SELECT "+d.heartbeatColumn())
	if err != nil {
		return nil, err
	}
	d.observe = d.observeStatement()
	return d, nil
}

func mysqlKind(v release) Kind {
	switch {
	case v.atLeast(8, 2, 0):
		return KindMySQL84
	case v.atLeast(8, 0, 0):
		return KindMySQL80
	case v.atLeast(5, 7, 0):
		return KindMySQL57
	default:
		return KindMySQL56
	}
}

// readable runs query to see whether it may: a refusal by the server is a no, anything else an error.
func readable(ctx context.Context, q Querier, query string) (bool, error) {
	_, err := records(ctx, q, query)
	var refused *driver.MySQLError
	if errors.As(err, &refused) {
		return false, nil
	}
	return err == nil, err
}

func gtidOn(mode string) bool { return mode == "ON" || mode == "ON_PERMISSIVE" }

// heartbeatColumn is an expression with the counters and the periods in seconds of all channels, as
// HEX(name)=count/period,...
func (d *mysql) heartbeatColumn() string {
	if d.kind == KindMySQL56 {
		return `(SELECT CONCAT('=', MAX(IF(variable_name = 'SLAVE_RECEIVED_HEARTBEATS', variable_value, '')), '/',
MAX(IF(variable_name = 'SLAVE_HEARTBEAT_PERIOD', variable_value, ''))) FROM information_schema.global_status
WHERE variable_name IN ('SLAVE_RECEIVED_HEARTBEATS', 'SLAVE_HEARTBEAT_PERIOD'))`
	}
	return `(SELECT GROUP_CONCAT(HEX(channel_name), '=', count_received_heartbeats, '/', heartbeat_interval)
FROM performance_schema.replication_connection_status JOIN performance_schema.replication_connection_configuration USING (channel_name))`
}

func (d *mysql) observeStatement() string {
	super, beats := "0", "''"
	if d.hasSuper {
		super = "@@global.super_read_only"
	}
	if d.heartbeats {
		beats = d.heartbeatColumn()
	}
	return `SELECT @@version AS version, @@global.server_id AS id, @@global.server_uuid AS uuid,
@@global.read_only AS ro, ` + super + ` AS super_ro, @@global.gtid_executed AS executed, @@global.gtid_mode AS gtid_mode,
@@global.log_bin AS log_bin, @@global.` + d.words.updates + ` AS updates, UTC_TIMESTAMP(6) AS clock, ` + beats + ` AS beats`
}

// Name implements Dialect.
func (*mysql) Name() string { return "mysql" }

// Kind implements Dialect.
func (d *mysql) Kind() Kind { return d.kind }

// Observe implements Observer.
func (d *mysql) Observe(ctx context.Context, q Querier) (topology.Facts, error) {
	return d.ObserveAt(ctx, q, gtid.Position{})
}

// ObserveAt implements Observer.
func (d *mysql) ObserveAt(ctx context.Context, q Querier, own gtid.Position) (topology.Facts, error) {
	r, err := oneRecord(ctx, q, d.observe)
	if err != nil {
		return topology.Facts{}, fmt.Errorf("read the variables: %w", err)
	}
	on := gtidOn(r.str("gtid_mode"))
	f := topology.Facts{
		Flavor: d.Name(), Version: r.str("version"), ServerID: uint32(r.uint("id")), ServerUUID: r.str("uuid"),
		ReadOnly: r.bool("ro"), SuperReadOnly: r.bool("super_ro"), GTID: on, GTIDStrict: on,
		BinaryLog: r.bool("log_bin"), LogsUpdates: r.bool("updates"), Clock: serverClock(r.str("clock")),
	}
	switch {
	case on:
		f.Position, err = gtid.ParseMySQL(r.str("executed"))
	case own.Known():
		f.Position = own
	default:
		f.Position, err = d.BinlogPosition(ctx, q)
	}
	if err != nil {
		return topology.Facts{}, fmt.Errorf("read the position: %w", err)
	}
	if f.Links, err = d.links(ctx, q); err != nil {
		return topology.Facts{}, fmt.Errorf("read the replication links: %w", err)
	}
	setHeartbeats(f.Links, r.str("beats"))
	return f, nil
}

// setHeartbeats reads HEX(channel)=count/period,... into the links.
func setHeartbeats(links []topology.Link, beats string) {
	for part := range strings.SplitSeq(beats, ",") {
		name, rest, ok := strings.Cut(part, "=")
		count, period, _ := strings.Cut(rest, "/")
		channel, err1 := hex.DecodeString(name)
		n, err2 := strconv.ParseUint(count, 10, 64)
		if !ok || err1 != nil || err2 != nil {
			continue
		}
		for i := range links {
			if links[i].Channel == string(channel) {
				links[i].Heartbeats = n
				links[i].HeartbeatPeriod = heartbeatPeriod(period)
			}
		}
	}
}

func (d *mysql) links(ctx context.Context, q Querier) ([]topology.Link, error) {
	return readLinks(ctx, q, d.words.showReplica, func(r record, l *topology.Link) {
		l.Channel = r.str("channel_name")
		l.UsesGTID = r.bool("auto_position")
		if !l.UsesGTID {
			return
		}
		received, err1 := gtid.ParseMySQL(r.str("retrieved_gtid_set"))
		applied, err2 := gtid.ParseMySQL(r.str("executed_gtid_set"))
		if err1 == nil && err2 == nil {
			l.Received, l.Applied = received, applied
		}
	})
}

// Position implements Observer.
func (d *mysql) Position(ctx context.Context, q Querier) (gtid.Position, error) {
	r, err := oneRecord(ctx, q, "SELECT @@global.gtid_executed AS executed, @@global.gtid_mode AS gtid_mode")
	if err != nil {
		return gtid.Position{}, fmt.Errorf("read the position: %w", err)
	}
	if !gtidOn(r.str("gtid_mode")) {
		return d.BinlogPosition(ctx, q)
	}
	return gtid.ParseMySQL(r.str("executed"))
}

// BinlogPosition implements Observer.
func (d *mysql) BinlogPosition(ctx context.Context, q Querier) (gtid.Position, error) {
	return binlogPosition(ctx, q, d.words.showBinlog)
}

// HasSuperReadOnly reports whether the server has super_read_only, which stops accounts with SUPER as well: MySQL 5.7.8
// and newer and some relatives of 5.6. Without it read_only alone is a closed server, and such accounts pass it.
func HasSuperReadOnly(d Dialect) bool {
	m, ok := d.(*mysql)
	return ok && m.hasSuper
}

// SetReadOnly implements Fencer.
func (d *mysql) SetReadOnly(ctx context.Context, q Querier) error {
	if d.hasSuper {
		return exec(ctx, q, "SET GLOBAL super_read_only = 1") // sets read_only as well
	}
	return exec(ctx, q, "SET GLOBAL read_only = 1")
}

// SetWritable implements Fencer. Clearing super_read_only leaves read_only on.
func (d *mysql) SetWritable(ctx context.Context, q Querier) error {
	if d.hasSuper {
		if err := exec(ctx, q, "SET GLOBAL super_read_only = 0"); err != nil {
			return err
		}
	}
	if err := exec(ctx, q, "SET GLOBAL read_only = 0"); err != nil {
		return err
	}
	return verifyWritable(ctx, q, d)
}

// ReadOnly implements Fencer.
func (d *mysql) ReadOnly(ctx context.Context, q Querier) (readOnly, super bool, err error) {
	return readFlags(ctx, q, d.hasSuper)
}
