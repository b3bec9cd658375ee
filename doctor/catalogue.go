package doctor

import (
	"slices"
	"strings"
)

// Kind describes the findings of one code.
type Kind struct {
	Code     string
	Severity Severity // a finding may have a lower one where Meaning says so
	Blocks   Blocks
	Meaning  string // one line
}

// Catalogue lists every code in the order of the documentation.
func Catalogue() []Kind { return slices.Clone(kinds) }

func kindOf(code string) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Code == code })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

var kinds = []Kind{
	{"SAME_SERVER", Critical, BlocksAlways, "The addresses of two names lead to one and the same server: what is taken for the standby is the primary, or the other way round."},
	{"SERVER_ID_DUPLICATE", Critical, BlocksAlways, "Two servers have the same `server_id`, or one has 0: each skips what the other wrote."},
	{"SERVER_UUID_DUPLICATE", Critical, BlocksAlways, "Two servers have the same `server_uuid`: one is a copy of the other, data directory and all."},
	{"HISTORY_DIVERGED", Critical, BlocksAlone, "A standby has transactions that the primary lacks."},
	{"EVENTS_SKIPPED", Critical, BlocksAlways, "A standby has applied all it was sent and still lacks transactions: a rebuilt server with its old `server_id` skips its own."},
	{"STANDBY_WRITABLE", Critical, BlocksAlways, "A standby accepts writes of applications."},
	{"PRIMARY_READ_ONLY", Critical, BlocksNever, "The primary is closed for writes."},
	{"FENCE_PENDING", Warning, BlocksNever, "A statement that closes the server waits for somebody, and new writes wait behind it."},
	{"START_WRITABLE", Critical, BlocksAlways, "The server's configuration lets it start writable: after a crash and a failover it would come back as a second primary."},
	{"START_UNKNOWN", Warning, BlocksNever, "`read_only` was set at run time and nothing tells how the server would start."},
	{"BINLOG_OFF", Critical, BlocksAlways, "The binary log is off: nothing can replicate from this server."},
	{"LOG_UPDATES_OFF", Critical, BlocksAlways, "`log_slave_updates` is off: what the server applied as a standby cannot be sent on when it is the primary."},
	{"BINLOG_FORMAT", Critical, BlocksNever, "`binlog_format` is not ROW: statements can have other effects on the standby."},
	{"BINLOG_ROW_IMAGE", Warning, BlocksNever, "`binlog_row_image` is not FULL: transactions that only an old primary has cannot be undone by `rejoin --rewind`."},
	{"DURABILITY", Warning, BlocksNever, "`sync_binlog` or `innodb_flush_log_at_trx_commit` is not 1: a crash can lose what was acknowledged, or what the standby already has."},
	{"GTID_OFF", Warning, BlocksNever, "A link works by file and position: standbys cannot be repointed after a failover, and histories cannot be compared."},
	{"GTID_NOT_STRICT", Critical, BlocksNever, "MariaDB with GTID and without `gtid_strict_mode`: a diverged old primary's transactions are pulled in silently."},
	{"LINK_BROKEN", Critical, BlocksAlone, "A standby does not replicate, for a reason that does not go away by itself."},
	{"LINK_DOWN", Critical, BlocksNever, "A standby cannot reach its source at the moment."},
	{"LINK_MISSING", Critical, BlocksAlone, "A standby replicates from nobody, or from a server that is not the primary."},
	{"REVERSE_LINK_BROKEN", Warning, BlocksNever, "The primary's own link to a standby does not run: a switchover has to mend it first."},
	{"LINK_TIMERS", Warning, BlocksNever, "The link notices a silent source late, or comes back to it late."},
	{"PRIVILEGED_ACCOUNT", Critical, BlocksNever, "An account may write in spite of `read_only` (on MySQL a warning: `super_read_only` stops it)."},
	{"CONTROL_RIGHTS", Critical, BlocksNever, "The control account lacks rights that a switchover or a failover needs."},
	{"NO_ADMIN_PORT", Info, BlocksNever, "There is no extra port for administrators when all connections are used up."},
	{"REPLICATION_FILTER", Critical, BlocksAlways, "A standby leaves something out of what it replicates: it would be lost in a failover."},
	{"BINLOG_FILTER", Critical, BlocksAlways, "A server leaves something out of its binary log: it would be lost in a failover."},
	{"AUTO_INCREMENT", Warning, BlocksNever, "The servers of a pair give out the same `auto_increment` values: a second net against double writes is missing."},
	{"APPLIER_IDEMPOTENT", Critical, BlocksAlways, "`slave_exec_mode` is IDEMPOTENT: it hides that the data differ."},
	{"ERRORS_SKIPPED", Critical, BlocksAlways, "`slave_skip_errors` is set: it hides that the data differ."},
	{"APPLIER_SERIAL", Warning, BlocksNever, "The standby applies with one thread: it falls behind under load, and the pause of a switchover is its backlog."},
	{"SEMISYNC_SOURCE_ON_STANDBY", Critical, BlocksNever, "The source side of semi-sync is on at a standby: its commits may wait for a replica that never answers."},
	{"SEMISYNC_AFTER_COMMIT", Warning, BlocksNever, "Semi-sync waits after the commit: rows are seen by readers that a failover then loses."},
	{"SEMISYNC_FALLBACK", Warning, BlocksNever, "Semi-sync gives up after a while and goes on without acknowledgement: a failover can lose acknowledged rows."},
	{"SEMISYNC_ALONE", Warning, BlocksNever, "Semi-sync is on at the primary and nobody acknowledges."},
	{"TABLE_ENGINE", Warning, BlocksNever, "Tables of an engine without transactions: not crash safe, and the fence cannot roll them back."},
	{"TABLE_WITHOUT_KEY", Warning, BlocksNever, "Tables without a primary key: every changed row is a scan on the standby."},
	{"EVENT_ON_STANDBY", Warning, BlocksNever, "Events are enabled on a standby whose scheduler runs: they run twice."},
	{"EVENT_ASLEEP", Warning, BlocksNever, "Events are disabled on the primary because they were created on another one: they run nowhere."},
	{"CLOCK_DRIFT", Warning, BlocksNever, "A server's clock differs by more than 500 ms."},
	{"VERSION_DIFFERS", Warning, BlocksNever, "The servers have different versions."},
	{"SETTINGS_DIFFER", Warning, BlocksNever, "Settings that applications notice differ between the servers."},
	{"TABLE_NAMES_CASE", Critical, BlocksNever, "`lower_case_table_names` differs: tables are not found after a failover, or replication stops."},
	{"BINLOG_RETENTION", Warning, BlocksNever, "Binary logs are deleted so early that a standby that was away for a day cannot come back."},
	{"BINLOG_NEVER_PURGED", Info, BlocksNever, "Binary logs are never deleted; says up to which one they could be."},
	{"ROUND_TRIP", Critical, BlocksNever, "Rows written on the primary do not arrive on a standby."},
	{"GRANTS_DIFFER", Critical, BlocksNever, "Accounts or their rights differ between the servers: applications could not log in after a failover."},
	{"RELAY_LOG_RECOVERY", Warning, BlocksNever, "`relay_log_recovery` is off: after a crash of the standby its relay log may be damaged or applied twice."},
	{"RELAY_LOG_NAME", Warning, BlocksNever, "`relay_log` is not set: the name depends on the host's name, and replication stops when that changes."},
	{"LONG_TRANSACTION", Warning, BlocksNever, "A transaction has been open on the primary for minutes: a switchover would have to end it."},
	{"XA_PREPARED", Warning, BlocksNever, "XA transactions are prepared on the primary: MySQL commits them even on a fenced server."},
	{"TABLE_LOCKS", Warning, BlocksNever, "A session holds table locks on the primary, for which the fence has to wait (MySQL shows them, MariaDB only with a plugin)."},
	{"DISK_LOW", Warning, BlocksNever, "The disk of the data directory is nearly full."},
	{"BACKUP_ON_PRIMARY", Info, BlocksNever, "A backup runs on the primary; it could use the standby's listener, which follows the role."},
	{"OTHER_MANAGER", Warning, BlocksNever, "Another manager of the cluster is at work: two deciders make two primaries."},
	{"UNKNOWN_REPLICA", Info, BlocksNever, "A replica reads from a server and is not one of the cluster."},
	{"PROXY_PROTOCOL", Critical, BlocksNever, "`server_proxy_protocol` is set and the server does not take it from this host: no client can log in there."},
	{"LINK_PLAIN", Info, BlocksNever, "Replication goes over the network unencrypted."},
}

// words joins for sentences: a, b and c.
func words(list []string) string {
	switch n := len(list); n {
	case 0:
		return ""
	case 1:
		return list[0]
	default:
		return strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
}
