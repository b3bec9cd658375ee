package flavor

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// readLinks runs a SHOW ... STATUS statement and reads each row with parse for what is GTID.
func readLinks(ctx context.Context, q Querier, show string, parse func(record, *topology.Link)) ([]topology.Link, error) {
	rs, err := records(ctx, q, show)
	if err != nil {
		return nil, err
	}
	links := make([]topology.Link, 0, len(rs))
	for _, r := range rs {
		l := linkOf(r)
		l.Received, l.Applied = l.ReceivedFile, l.AppliedFile
		parse(r, &l)
		links = append(links, l)
	}
	return links, nil
}

// linkOf reads what all versions have in common.
func linkOf(r record) topology.Link {
	l := topology.Link{
		Source:         net.JoinHostPort(r.str("master_host"), r.str("master_port")),
		SourceServerID: uint32(r.uint("master_server_id")), // 32 bits in every version
		IO:             threadState(r.str("slave_io_running")),
		SQL:            threadState(r.str("slave_sql_running")),
		IOErrno:        int(r.uint("last_io_errno")),
		IOError:        r.str("last_io_error"),
		SQLErrno:       int(r.uint("last_sql_errno")),
		SQLError:       r.str("last_sql_error"),
		ApplierState:   r.str("slave_sql_running_state"),
		ReceivedFile:   gtid.FilePos(r.str("master_log_file"), r.uint("read_master_log_pos")),
		AppliedFile:    gtid.FilePos(r.str("relay_master_log_file"), r.uint("exec_master_log_pos")),
		Delay:          time.Duration(r.uint("sql_delay")) * time.Second,
		Retry:          time.Duration(r.uint("connect_retry")) * time.Second,
	}
	l.HeartbeatPeriod = heartbeatPeriod(r.str("slave_heartbeat_period")) // MariaDB only
	if lag := r["seconds_behind_master"]; lag.Valid {
		if n, err := strconv.Atoi(lag.String); err == nil {
			l.LagKnown, l.Lag = true, time.Duration(n)*time.Second
		}
	}
	return l
}

// heartbeatPeriod reads a number of seconds; 0 when it is none.
func heartbeatPeriod(seconds string) time.Duration {
	n, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// threadState reads Yes, No, Connecting and MariaDB's Preparing.
func threadState(s string) topology.ThreadState {
	switch s {
	case "Yes":
		return topology.ThreadYes
	case "Connecting", "Preparing":
		return topology.ThreadConnecting
	default:
		return topology.ThreadNo
	}
}
