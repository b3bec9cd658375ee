package doctor

import "context"

// check is one thing that is looked at. It has one of each and all; an error means that it could not be made.
type check struct {
	codes []string // of its findings
	deep  bool     // it looks through all tables: made less often by Run
	each  func(ctx context.Context, x *examination, s *server) error
	all   func(ctx context.Context, x *examination) error
}

// checks are made in this order, those of each server first.
var checks = []check{
	{codes: []string{"SAME_SERVER"}, all: sameServers},
	{codes: []string{"SERVER_ID_DUPLICATE"}, all: serverIDs},
	{codes: []string{"SERVER_UUID_DUPLICATE"}, all: serverUUIDs},
	{codes: []string{"HISTORY_DIVERGED"}, all: diverged},
	{codes: []string{"EVENTS_SKIPPED"}, all: skipped},
	{codes: []string{"STANDBY_WRITABLE", "PRIMARY_READ_ONLY", "FENCE_PENDING"}, each: writable},
	{codes: []string{"START_WRITABLE", "START_UNKNOWN"}, each: startsClosed},
	{codes: []string{"BINLOG_OFF", "LOG_UPDATES_OFF", "BINLOG_FORMAT", "BINLOG_ROW_IMAGE"}, each: binaryLog},
	{codes: []string{"DURABILITY"}, each: durability},
	{codes: []string{"GTID_OFF", "GTID_NOT_STRICT"}, each: linkMode},
	{codes: []string{"LINK_BROKEN", "LINK_DOWN", "LINK_MISSING"}, each: standbyLinks},
	{codes: []string{"REVERSE_LINK_BROKEN"}, each: reverseLinks},
	{codes: []string{"LINK_TIMERS"}, each: linkTimers},
	{codes: []string{"PRIVILEGED_ACCOUNT"}, all: privileged},
	{codes: []string{"CONTROL_RIGHTS"}, each: controlRights},
	{codes: []string{"NO_ADMIN_PORT"}, each: adminPort},
	{codes: []string{"REPLICATION_FILTER"}, each: filters},
	{codes: []string{"BINLOG_FILTER"}, each: binlogFilters},
	{codes: []string{"AUTO_INCREMENT"}, all: autoIncrement},
	{codes: []string{"APPLIER_IDEMPOTENT", "ERRORS_SKIPPED"}, each: tolerance},
	{codes: []string{"APPLIER_SERIAL"}, each: appliers},
	{codes: []string{"SEMISYNC_SOURCE_ON_STANDBY", "SEMISYNC_AFTER_COMMIT", "SEMISYNC_FALLBACK", "SEMISYNC_ALONE"}, each: semiSync},
	{codes: []string{"TABLE_ENGINE"}, deep: true, all: engines},
	{codes: []string{"TABLE_WITHOUT_KEY"}, deep: true, all: keyless},
	{codes: []string{"EVENT_ON_STANDBY", "EVENT_ASLEEP"}, each: events},
	{codes: []string{"CLOCK_DRIFT"}, each: clocks},
	{codes: []string{"VERSION_DIFFERS", "SETTINGS_DIFFER", "TABLE_NAMES_CASE"}, all: settings},
	{codes: []string{"BINLOG_RETENTION", "BINLOG_NEVER_PURGED"}, each: retention},
	{codes: []string{"ROUND_TRIP"}, all: roundTrip},
	{codes: []string{"GRANTS_DIFFER"}, all: sameGrants},
	{codes: []string{"RELAY_LOG_RECOVERY", "RELAY_LOG_NAME"}, each: relayLog},
	{codes: []string{"LONG_TRANSACTION"}, each: transactions},
	{codes: []string{"XA_PREPARED"}, each: preparedXA},
	{codes: []string{"TABLE_LOCKS"}, each: tableLocks},
	{codes: []string{"DISK_LOW"}, each: diskFree},
	{codes: []string{"BACKUP_ON_PRIMARY"}, each: backups},
	{codes: []string{"OTHER_MANAGER"}, each: managers},
	{codes: []string{"UNKNOWN_REPLICA"}, each: strangers},
	{codes: []string{"PROXY_PROTOCOL"}, each: proxyProtocol},
	{codes: []string{"LINK_PLAIN"}, each: linkEncryption},
}
