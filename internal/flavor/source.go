package flavor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Threads names the threads of a link that a statement is about.
type Threads uint8

// The threads of a link.
const (
	BothThreads    Threads = iota
	ReceiverThread         // IO_THREAD
	ApplierThread          // SQL_THREAD
)

// String gives the servers' word, "" for both.
func (t Threads) String() string {
	switch t {
	case ReceiverThread:
		return "IO_THREAD"
	case ApplierThread:
		return "SQL_THREAD"
	case BothThreads:
		return ""
	default:
		return ""
	}
}

// Source is where a link reads from.
type Source struct {
	Channel  string // "" is the default link
	Host     string
	Port     int
	User     string // "" leaves account and password as they are
	Password string // at most 32 characters
	// GTID lets the server find its place by itself (MASTER_USE_GTID=slave_pos, SOURCE_AUTO_POSITION=1). Otherwise
	// File and Pos are the place in the source's binary log; an empty File leaves the place to the server.
	GTID bool
	File string
	Pos  uint64
	// Heartbeat is the period of replication heartbeats and Retry the time between connection attempts; 0 leaves
	// them as they are. Retry is rounded up to seconds.
	Heartbeat time.Duration
	Retry     time.Duration
	// TLS asks the source for an encrypted connection, without verifying its certificate.
	TLS bool
}

// options gives the list of CHANGE MASTER TO without what is GTID; prefix is MASTER or SOURCE.
func (s Source) options(prefix string) []string {
	o := []string{prefix + "_HOST = " + literal(s.Host), fmt.Sprintf("%s_PORT = %d", prefix, s.Port)}
	if s.User != "" {
		o = append(o, prefix+"_USER = "+literal(s.User), prefix+"_PASSWORD = "+literal(s.Password))
	}
	if !s.GTID && s.File != "" {
		o = append(o, prefix+"_LOG_FILE = "+literal(s.File), fmt.Sprintf("%s_LOG_POS = %d", prefix, s.Pos))
	}
	if s.Heartbeat > 0 {
		o = append(o, fmt.Sprintf("%s_HEARTBEAT_PERIOD = %.3f", prefix, s.Heartbeat.Seconds()))
	}
	if s.Retry > 0 {
		o = append(o, fmt.Sprintf("%s_CONNECT_RETRY = %d", prefix, int((s.Retry+time.Second-1)/time.Second)))
	}
	if s.TLS {
		o = append(o, prefix+"_SSL = 1")
	}
	return o
}

// StopReplica implements Replicator.
func (d *mariadb) StopReplica(ctx context.Context, q Querier, channel string, which Threads) error {
	return exec(ctx, q, join("STOP SLAVE", mariaChannel(channel), which.String()))
}

// StartReplica implements Replicator.
func (d *mariadb) StartReplica(ctx context.Context, q Querier, channel string, which Threads) error {
	return exec(ctx, q, join("START SLAVE", mariaChannel(channel), which.String()))
}

// ResetReplica implements Replicator.
func (d *mariadb) ResetReplica(ctx context.Context, q Querier, channel string) error {
	return exec(ctx, q, join("RESET SLAVE", mariaChannel(channel), "ALL"))
}

// ChangeSource implements Replicator.
func (d *mariadb) ChangeSource(ctx context.Context, q Querier, s Source) error {
	o := s.options("MASTER")
	if s.GTID {
		o = append(o, "MASTER_USE_GTID = slave_pos")
	} else {
		o = append(o, "MASTER_USE_GTID = no")
	}
	return exec(ctx, q, join("CHANGE MASTER", mariaChannel(s.Channel), "TO", strings.Join(o, ", ")))
}

func mariaChannel(name string) string {
	if name == "" {
		return ""
	}
	return literal(name)
}

// StopReplica implements Replicator.
func (d *mysql) StopReplica(ctx context.Context, q Querier, channel string, which Threads) error {
	return exec(ctx, q, join(d.words.stop, which.String(), d.channel(channel)))
}

// StartReplica implements Replicator.
func (d *mysql) StartReplica(ctx context.Context, q Querier, channel string, which Threads) error {
	return exec(ctx, q, join(d.words.start, which.String(), d.channel(channel)))
}

// ResetReplica implements Replicator.
func (d *mysql) ResetReplica(ctx context.Context, q Querier, channel string) error {
	return exec(ctx, q, join(d.words.reset, "ALL", d.channel(channel)))
}

// retryCount is how often a receiver tries to connect before it gives up for ever; the default of MySQL 8.4 and newer is 10.
const retryCount = 86400

// ChangeSource implements Replicator. Without TLS the source's RSA key is asked for, which accounts with
// caching_sha2_password need.
func (d *mysql) ChangeSource(ctx context.Context, q Querier, s Source) error {
	prefix := d.words.source
	o := s.options(prefix)
	auto := "0"
	if s.GTID {
		auto = "1"
	}
	o = append(o, prefix+"_AUTO_POSITION = "+auto, fmt.Sprintf("%s_RETRY_COUNT = %d", prefix, retryCount))
	if !s.TLS && d.kind >= KindMySQL80 {
		o = append(o, "GET_"+prefix+"_PUBLIC_KEY = 1")
	}
	return exec(ctx, q, join(d.words.change, strings.Join(o, ", "), d.channel(s.Channel)))
}

// channel names the link; MySQL 5.6 has one only.
func (d *mysql) channel(name string) string {
	if d.kind == KindMySQL56 {
		return ""
	}
	return "FOR CHANNEL " + literal(name)
}

// join puts the non-empty parts of a statement together.
func join(parts ...string) string {
	out := parts[:0]
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, " ")
}
