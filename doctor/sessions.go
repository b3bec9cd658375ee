package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// longStatement is how long a statement with table locks may run before it is worth a finding.
const longStatement = 10 * time.Second

// transactions looks for what a switchover would have to end, or would miss.
func transactions(ctx context.Context, x *examination, s *server) error {
	if !x.isPrimary(s) {
		return nil
	}
	rs, err := s.rows(ctx, fmt.Sprintf(`SELECT p.id AS id, p.user AS user, p.host AS host, t.trx_rows_modified AS modified,
TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS seconds
FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
WHERE t.trx_started < NOW() - INTERVAL %d SECOND AND p.user <> 'system user'`, int(x.d.limits.transaction.Seconds())))
	if err != nil {
		return fmt.Errorf("list the transactions: %w", err)
	}
	var evidence, fix []string
	for _, r := range rs {
		evidence = append(evidence, fmt.Sprintf("session %s of %s from %s: open for %s s, %s rows changed", r["id"], r["user"], r["host"], r["seconds"], r["modified"]))
		fix = append(fix, "KILL "+r["id"])
	}
	if len(evidence) > 0 {
		x.find("LONG_TRANSACTION", s.name(), "Transactions have been open for minutes. A switchover waits for them only up to the drain limit and then ends them; and they keep the server from cleaning up.",
			first(evidence), first(fix)...)
	}
	return nil
}

func preparedXA(ctx context.Context, x *examination, s *server) error {
	if !x.isPrimary(s) {
		return nil
	}
	n, err := s.dialect.PreparedXA(ctx, s.q)
	if err != nil {
		return fmt.Errorf("list the prepared XA transactions: %w", err)
	}
	if n > 0 {
		x.find("XA_PREPARED", s.name(), "XA transactions are prepared and wait for their coordinator. Their locks stay, also over a switchover; MySQL commits them even on a server that is closed for writes, where the new primary does not see it.",
			[]string{fmt.Sprintf("%d prepared", n)}, "XA RECOVER CONVERT XID", "XA COMMIT or XA ROLLBACK of what no coordinator knows any more")
	}
	return nil
}

func tableLocks(ctx context.Context, x *examination, s *server) error {
	if !x.isPrimary(s) {
		return nil
	}
	sessions, err := s.dialect.Sessions(ctx, s.q)
	if err != nil {
		return err
	}
	var evidence, fix []string
	for _, o := range sessions {
		if o.LocksTables && (o.Command == "Sleep" || o.Time >= longStatement) {
			evidence = append(evidence, fmt.Sprintf("session %d of %s from %s: %s for %s %s", o.ID, o.User, o.Host, o.Command, o.Time, o.Info))
			fix = append(fix, fmt.Sprintf("KILL %d", o.ID))
		}
	}
	if len(evidence) > 0 {
		x.find("TABLE_LOCKS", s.name(), "Sessions hold table locks. Closing the server for a switchover has to wait for them, and all writes with it, until they are ended.",
			first(evidence), first(fix)...)
	}
	return nil
}

// backupPrograms are known by the name they give at login (MySQL shows it) or by what they run.
const backupQuery = `SELECT id AS id, user AS user, host AS host, LEFT(info, 60) AS info FROM information_schema.processlist
WHERE id <> CONNECTION_ID() AND (info LIKE 'SELECT /*!40001 SQL_NO_CACHE */%' OR info LIKE 'BACKUP STAGE%' OR info LIKE 'LOCK INSTANCE FOR BACKUP%')`

func backups(ctx context.Context, x *examination, s *server) error {
	if !x.isPrimary(s) {
		return nil
	}
	rs, err := s.rows(ctx, backupQuery)
	if err != nil {
		return fmt.Errorf("look for backups: %w", err)
	}
	var evidence []string
	for _, r := range rs {
		evidence = append(evidence, fmt.Sprintf("session %s of %s from %s: %s", r["id"], r["user"], r["host"], r["info"]))
	}
	if len(evidence) > 0 {
		x.find("BACKUP_ON_PRIMARY", s.name(), "A backup reads from the primary and slows applications down. A standby can serve it: a listener with route: standby always leads to one, and load balancers can ask GET /standby/<cluster>.",
			first(evidence))
	}
	return nil
}

// managerQuery finds locks that MaxScale's monitor holds, and sessions of programs that change primaries.
const managerQuery = `SELECT 'MaxScale holds the lock mariadbmonitor' AS what FROM DUAL WHERE IS_USED_LOCK('maxscale_mariadbmonitor') IS NOT NULL
UNION ALL SELECT 'MaxScale holds the lock mariadbmonitor_master' FROM DUAL WHERE IS_USED_LOCK('maxscale_mariadbmonitor_master') IS NOT NULL
UNION ALL SELECT CONCAT('session ', id, ' of ', user, ' from ', host) FROM information_schema.processlist
WHERE user IN ('orchestrator', 'orc_client_user', 'orc_server_user', 'mha', 'mhauser', 'replication-manager', 'repmgr', 'mmm_monitor', 'mmm_agent')`

func managers(ctx context.Context, x *examination, s *server) error {
	rs, err := s.rows(ctx, managerQuery)
	if err != nil {
		return fmt.Errorf("look for other managers: %w", err)
	}
	var evidence []string
	for _, r := range rs {
		evidence = append(evidence, strings.TrimSpace(r["what"]))
	}
	if len(evidence) > 0 {
		x.find("OTHER_MANAGER", s.name(), "Another program that may change the primary is at work. Two deciders that do not know of each other can make two primaries. Switch off automatic failover and failback in the other one (MaxScale: auto_failover, auto_rejoin; Heartbeat: auto_failback), or here.",
			evidence, "in onewriter.yaml, if the other one stays: failover: {mode: manual}")
	}
	return nil
}
