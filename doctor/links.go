package doctor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// What a link should have at most.
const (
	longNetTimeout = 5 * time.Second
	longHeartbeat  = time.Second
	longRetry      = time.Second
)

// standbyLinks looks at the links of standbys to the primary.
func standbyLinks(_ context.Context, x *examination, s *server) error {
	if x.primary == "" {
		return errNoPrimary
	}
	if !x.isStandby(s) {
		return nil
	}
	l, ok := x.linkToPrimary(s)
	if !ok {
		x.missingLink(s)
		return nil
	}
	if l.Running() {
		return nil
	}
	code, why, fix := x.judgeLink(s, l)
	x.find(code, s.name(), why, linkEvidence(l), fix...)
	return nil
}

// linkToPrimary finds the link of s that leads to the primary. A link that never came up does not know whom it leads to,
// and neither do we while the primary does not answer.
func (x *examination) linkToPrimary(s *server) (topology.Link, bool) {
	p, err := x.thePrimary()
	for _, l := range s.facts.Links {
		if err != nil || l.SourceServerID == p.facts.ServerID {
			return l, true
		}
	}
	for _, l := range s.facts.Links {
		if _, other := x.byID(l.SourceServerID); !l.Running() && !other {
			return l, true
		}
	}
	return topology.Link{}, false
}

func (x *examination) missingLink(s *server) {
	if len(s.facts.Links) == 0 {
		x.find("LINK_MISSING", s.name(), "It is a standby and replicates from nobody: it gets nothing of what is written, and cannot take over.",
			nil, "set replication up from the primary "+x.primary+" (onewriter rejoin "+s.name()+" does it when the histories allow)")
		return
	}
	var evidence []string
	for _, l := range s.facts.Links {
		evidence = append(evidence, fmt.Sprintf("it replicates from %s, server_id %d", l.Source, l.SourceServerID))
	}
	x.find("LINK_MISSING", s.name(), fmt.Sprintf("It does not replicate from the primary %s but from another server. Onewriter does not fail over along chains: when the server between dies, this one gets nothing.", x.primary),
		evidence, "point it to the primary "+x.primary)
}

// temporary are errors of reaching the source: they go away by themselves, or the source is dead, which is judged
// elsewhere and must not keep a failover from happening.
var temporary = []int{1040, 1053, 1158, 1159, 1160, 1161, 2002, 2003, 2005, 2006, 2013, 2026, 2055}

// judgeLink says why a link does not run.
func (x *examination) judgeLink(s *server, l topology.Link) (code, why string, fix []string) {
	begin := "START SLAVE"
	if !s.mariadb() && s.dialect.Kind() >= flavor.KindMySQL80 {
		begin = "START REPLICA"
	}
	switch {
	case l.SQLErrno != 0:
		why, fix = applierReason(l.SQLErrno)
		return "LINK_BROKEN", why, append(fix, begin)
	case l.SQL != topology.ThreadYes:
		return "LINK_BROKEN", "It receives but does not apply: somebody has stopped the applier (SQL thread). It falls behind.", []string{begin + " SQL_THREAD"}
	case slices.Contains(temporary, l.IOErrno), l.IOErrno == 0 && l.IO == topology.ThreadConnecting:
		return "LINK_DOWN", "It cannot reach its source at the moment: the source is down or the network between the two is. What is written meanwhile is on one server only.",
			[]string{"check the network from this server to " + l.Source}
	case l.IOErrno != 0:
		why, fix = receiverReason(l)
		return "LINK_BROKEN", why, append(fix, begin)
	default:
		return "LINK_BROKEN", "Somebody has stopped its receiver (IO thread): it gets nothing of what is written.", []string{begin + " IO_THREAD"}
	}
}

// receiverReason explains the error of a receiver that reached its source.
func receiverReason(l topology.Link) (why string, fix []string) {
	switch l.IOErrno {
	case 1045, 1130, 1698, 3118:
		return "The source does not let the replication account in: wrong password, or the account is not there for this host.",
			[]string{"on the source: ALTER USER '<replication account>'@'%' IDENTIFIED BY '<password>'", "or give this link the right password with CHANGE MASTER TO / CHANGE REPLICATION SOURCE TO"}
	case 1593, 13117:
		return "It and its source have equal server ids, so that neither could tell its own transactions from the other's.",
			[]string{"SET GLOBAL server_id = <a number that no other server has>", "my.cnf: server_id = <the same number>"}
	case 1597, 13120, 1227:
		return "The replication account may not read the source's binary log.",
			[]string{"on the source: GRANT REPLICATION SLAVE ON *.* TO '<replication account>'@'%'"}
	case 1236, 13114:
		return "The source no longer has the binary log that comes next for this server, or its history is another one. If a log was deleted, the server has to be rebuilt; if the histories went apart, rejoin says how.",
			[]string{"onewriter rejoin <this server> --dry-run"}
	case 2061:
		return "The replication account uses caching_sha2_password, which wants TLS or the source's public key.",
			[]string{"CHANGE REPLICATION SOURCE TO GET_SOURCE_PUBLIC_KEY = 1"}
	default:
		return "Its receiver has stopped with an error: it gets nothing of what is written.", nil
	}
}

// applierReason explains the error of an applier.
func applierReason(number int) (why string, fix []string) {
	switch number {
	case 1062, 1032:
		return "It cannot apply a change because its rows are not those of the primary: somebody wrote on it, or it was set up from a wrong backup. It falls behind and cannot take over. Do not skip the error, it only hides the difference.",
			[]string{"compare the row that the error names on both servers, repair it on the standby with sql_log_bin=0 - or rebuild the standby"}
	case 1950:
		return "It got a transaction that does not follow on its own history: the servers were written to independently.",
			[]string{"onewriter rejoin <this server> --dry-run"}
	default:
		return "Its applier has stopped with an error: it falls behind and cannot take over.", nil
	}
}

func linkEvidence(l topology.Link) []string {
	out := []string{fmt.Sprintf("link to %s: receiver %s, applier %s", l.Source, l.IO, l.SQL)}
	if l.IOErrno != 0 || l.IOError != "" {
		out = append(out, fmt.Sprintf("receiver: error %d: %s", l.IOErrno, l.IOError))
	}
	if l.SQLErrno != 0 || l.SQLError != "" {
		out = append(out, fmt.Sprintf("applier: error %d: %s", l.SQLErrno, l.SQLError))
	}
	return out
}

// reverseLinks looks at the links of the primary to its standbys.
func reverseLinks(_ context.Context, x *examination, s *server) error {
	if !x.isPrimary(s) {
		return nil
	}
	for _, l := range s.facts.Links {
		if !l.Running() {
			_, why, fix := x.judgeLink(s, l)
			x.find("REVERSE_LINK_BROKEN", s.name(), "It is the primary, and its own link to a standby does not run. That harms nothing now; after a switchover it would not replicate from the new primary. "+why, linkEvidence(l), fix...)
		}
	}
	return nil
}

// linkTimers looks at how soon a link notices that its source is silent.
func linkTimers(_ context.Context, x *examination, s *server) error {
	if len(s.facts.Links) == 0 {
		return nil
	}
	var evidence, fix []string
	name := s.variable("replica_net_timeout", "slave_net_timeout")
	if n, err := strconv.Atoi(s.v(name)); err == nil && time.Duration(n)*time.Second > longNetTimeout {
		evidence = append(evidence, fmt.Sprintf("%s is %d s: that long both threads say Yes after the source has gone silent", name, n))
		fix = append(fix, "SET GLOBAL "+name+" = 4", "my.cnf: "+name+" = 4")
	}
	slow := false
	for _, l := range s.facts.Links {
		if l.HeartbeatPeriod > longHeartbeat {
			slow = true
			evidence = append(evidence, fmt.Sprintf("link to %s: heartbeat period %s", l.Source, l.HeartbeatPeriod))
		}
		if l.Retry > longRetry {
			slow = true
			evidence = append(evidence, fmt.Sprintf("link to %s: connect retry %s", l.Source, l.Retry))
		}
	}
	if slow {
		fix = append(fix, s.changeTimers())
	}
	if len(evidence) > 0 {
		x.find("LINK_TIMERS", s.name(), "Its replication notices a source that has gone silent late, or reconnects late. Onewriter does not rely on it, but what the server itself reports is stale for that long, and a short outage of the network becomes a long one of replication. Change the link while it is not behind: MariaDB with GTID throws away what was received and not applied.",
			evidence, fix...)
	}
	return nil
}

func (s *server) changeTimers() string {
	if s.mariadb() || s.dialect.Kind() < flavor.KindMySQL80 {
		return "STOP SLAVE; CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 1, MASTER_CONNECT_RETRY = 1; START SLAVE"
	}
	return "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA"
}

// linkMode looks at how links find their place.
func linkMode(_ context.Context, x *examination, s *server) error {
	var evidence []string
	gtid := false
	for _, l := range s.facts.Links {
		gtid = gtid || l.UsesGTID
		if !l.UsesGTID {
			evidence = append(evidence, "link to "+l.Source+" works by file and position")
		}
	}
	if !s.facts.GTID {
		evidence = append(evidence, "gtid_mode is "+s.v("gtid_mode"))
	}
	if len(evidence) > 0 {
		x.find("GTID_OFF", s.name(), "It replicates by file and position. Onewriter can switch over and fail over in a pair; further standbys cannot be repointed after a failover, and histories are compared less exactly.",
			evidence, s.gtidFix()...)
	}
	if gtid && !s.facts.GTIDStrict {
		x.find("GTID_NOT_STRICT", s.name(), "It replicates by GTID without strict mode. When an old primary comes back with transactions that nobody has, they are pulled in silently, and rows that the application believes lost reappear.",
			[]string{"gtid_strict_mode is " + s.v("gtid_strict_mode")}, "SET GLOBAL gtid_strict_mode = 1", "my.cnf: gtid_strict_mode = 1")
	}
	return nil
}

func (s *server) gtidFix() []string {
	if s.mariadb() {
		return []string{"when it is not behind: STOP SLAVE; CHANGE MASTER TO MASTER_USE_GTID = slave_pos; START SLAVE"}
	}
	return []string{"switch gtid_mode on in the steps of the manual (OFF_PERMISSIVE, ON_PERMISSIVE, ON) on all servers", "then SOURCE_AUTO_POSITION = 1"}
}

// linkEncryption looks for links that go over a network unencrypted.
func linkEncryption(_ context.Context, x *examination, s *server) error {
	var evidence []string
	for _, r := range s.status {
		if r["master_ssl_allowed"] == "No" && !loopback(r["master_host"]) {
			evidence = append(evidence, "link to "+r["master_host"]+": SSL is off")
		}
	}
	if len(evidence) > 0 {
		x.find("LINK_PLAIN", s.name(), "It replicates unencrypted. Who can listen on that network reads every change, and the replication account's login.",
			evidence, "CHANGE MASTER TO MASTER_SSL = 1 (MySQL: SOURCE_SSL = 1), while it is not behind")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || host == "" || ip != nil && ip.IsLoopback()
}
