package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// shortRetention is how long binary logs must be kept at least, so that a standby that was away for a night can come back.
const shortRetention = 24 * time.Hour

// binaryLog looks at what a server must have to be a source.
func binaryLog(_ context.Context, x *examination, s *server) error {
	if !s.facts.BinaryLog {
		x.find("BINLOG_OFF", s.name(), "Its binary log is off. As the primary it would have no standby: nothing can replicate from it.",
			[]string{"log_bin is " + s.v("log_bin")}, "my.cnf: log_bin = binlog", "restart the server")
		return nil
	}
	if updates := s.variable("log_replica_updates", "log_slave_updates"); !s.facts.LogsUpdates {
		x.find("LOG_UPDATES_OFF", s.name(), "It does not write to its binary log what it applies as a standby. After a failover to it nobody can fetch from it what came before, and its history cannot be compared with others.",
			[]string{updates + " is " + s.v(updates)}, "my.cnf: "+updates+" = 1", "restart the server")
	}
	if format := s.v("binlog_format"); format != "" && format != "ROW" {
		x.find("BINLOG_FORMAT", s.name(), "Its binary log can hold statements instead of rows. Statements can do something else on the standby (NOW(), LIMIT without ORDER BY, triggers), and what an old primary has alone cannot be undone.",
			[]string{"binlog_format is " + format}, "SET GLOBAL binlog_format = 'ROW'", "my.cnf: binlog_format = ROW", "reconnect applications: sessions keep the old value")
	}
	if image := s.v("binlog_row_image"); image != "" && !strings.HasPrefix(image, "FULL") {
		x.find("BINLOG_ROW_IMAGE", s.name(), "Its binary log does not hold whole rows. If it dies with transactions that nobody received, onewriter rejoin --rewind cannot undo them, and it has to be rebuilt.",
			[]string{"binlog_row_image is " + image}, "SET GLOBAL binlog_row_image = 'FULL'", "my.cnf: binlog_row_image = FULL")
	}
	return nil
}

func durability(_ context.Context, x *examination, s *server) error {
	var evidence, fix []string
	for _, name := range []string{"sync_binlog", "innodb_flush_log_at_trx_commit"} {
		if v := s.v(name); v != "" && v != "1" {
			evidence = append(evidence, name+" is "+v)
			fix = append(fix, "SET GLOBAL "+name+" = 1", "my.cnf: "+name+" = 1")
		}
	}
	if len(evidence) > 0 {
		x.find("DURABILITY", s.name(), "It does not flush every commit to disk. When its machine crashes it may lose transactions that clients were told are done, or that a standby has already: then it has to be rebuilt.",
			evidence, fix...)
	}
	return nil
}

// retention looks at how long binary logs are kept.
func retention(ctx context.Context, x *examination, s *server) error {
	if !s.facts.BinaryLog {
		return nil
	}
	keep, err := s.keeps()
	if err != nil {
		return err
	}
	name := s.variable("binlog_expire_logs_seconds", "expire_logs_days")
	switch {
	case keep == 0 && !on(s.v("max_binlog_total_size")):
		return x.neverPurged(ctx, s)
	case keep > 0 && keep < shortRetention:
		day := "86400"
		if name == "expire_logs_days" {
			day = "1"
		}
		x.find("BINLOG_RETENTION", s.name(), fmt.Sprintf("It deletes binary logs after %s. A standby that is away for longer cannot catch up and has to be rebuilt.", keep),
			[]string{fmt.Sprintf("%s is %s", name, s.v(name))}, "SET GLOBAL "+name+" = "+day, "my.cnf: "+name+" = "+day)
	}
	return nil
}

// keeps gives how long binary logs are kept; 0 means for ever.
func (s *server) keeps() (time.Duration, error) {
	if v, ok := s.vars["binlog_expire_logs_auto_purge"]; ok && !on(v) {
		return 0, nil
	}
	var longest time.Duration
	for name, unit := range map[string]time.Duration{"binlog_expire_logs_seconds": time.Second, "expire_logs_days": 24 * time.Hour} {
		v := s.v(name)
		if v == "" {
			continue
		}
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", name, err)
		}
		longest = max(longest, time.Duration(n*float64(unit)))
	}
	return longest, nil
}

// neverPurged says which logs no standby needs any more.
func (x *examination) neverPurged(ctx context.Context, s *server) error {
	rs, err := s.rows(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return fmt.Errorf("list the binary logs: %w", err)
	}
	var bytes uint64
	for _, r := range rs {
		n, err := strconv.ParseUint(r["file_size"], 10, 64)
		if err != nil {
			return fmt.Errorf("read the size of %s: %w", r["log_name"], err)
		}
		bytes += n
	}
	evidence := []string{fmt.Sprintf("%d binary logs, %d MB", len(rs), bytes>>20)}
	fix := []string{"SET GLOBAL " + s.retentionFix(), "my.cnf: " + s.retentionFix()}
	if file, ok := x.neededFrom(s); ok {
		evidence = append(evidence, "every replica of the cluster has applied all that is before "+file)
		fix = append(fix, "PURGE BINARY LOGS TO '"+file+"'")
	}
	x.find("BINLOG_NEVER_PURGED", s.name(), "It never deletes binary logs; they will fill the disk. Delete them only up to what every replica has applied, and keep some days for standbys that are away.",
		evidence, fix...)
	return nil
}

func (s *server) retentionFix() string {
	if s.variable("binlog_expire_logs_seconds", "expire_logs_days") == "expire_logs_days" {
		return "expire_logs_days = 7"
	}
	return "binlog_expire_logs_seconds = 604800"
}

// neededFrom gives the oldest binary log of s that a server of the cluster still needs; ok is false while that cannot be
// told for all of them.
func (x *examination) neededFrom(s *server) (file string, ok bool) {
	if len(x.examined()) != len(x.servers) {
		return "", false
	}
	for _, other := range x.servers {
		for _, l := range other.facts.Links {
			if l.SourceServerID != s.facts.ServerID {
				continue
			}
			name, _, known := l.AppliedFile.File()
			if !known {
				return "", false
			}
			if file == "" || len(name) < len(file) || len(name) == len(file) && name < file {
				file = name
			}
		}
	}
	return file, file != ""
}

// binlogFilters looks for what a server leaves out of its binary log.
func binlogFilters(ctx context.Context, x *examination, s *server) error {
	rs, err := flavor.BinlogStatus(ctx, s.q, s.dialect)
	if err != nil {
		return fmt.Errorf("read the binary log's status: %w", err)
	}
	var evidence []string
	for _, r := range rs {
		for _, name := range []string{"binlog_do_db", "binlog_ignore_db"} {
			if r[name] != "" {
				evidence = append(evidence, name+" is "+r[name])
			}
		}
	}
	if len(evidence) > 0 {
		x.find("BINLOG_FILTER", s.name(), "It leaves something out of its binary log. That is not on the standby, so a failover loses it; and what is left out depends on the default schema of each session, not on the table.",
			evidence, "remove these lines from my.cnf", "restart the server", "rebuild the standbys: they lack what was filtered")
	}
	return nil
}
