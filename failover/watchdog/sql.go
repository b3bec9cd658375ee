package watchdog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// ErrNotTicking means that the server does not run the event: its scheduler is off, or it lags behind.
var ErrNotTicking = errors.New("the event of the watchdog is not executed: is event_scheduler ON?")

const (
	table = flavor.Schema + ".lease"
	event = flavor.Schema + ".watchdog"
	// version is in the event's comment; an event with another one is replaced.
	version = "onewriter watchdog 2"
	// clock is the server's clock in microseconds since 1970, whatever its time zone is.
	clock = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
	// newestEpoch is the newest epoch that this server has heard of.
	newestEpoch = "(SELECT COALESCE(MAX(e.epoch), 0) FROM " + flavor.Schema + ".epoch e)"
)

const createTable = `CREATE TABLE IF NOT EXISTS ` + table + ` (
  server_id INT UNSIGNED NOT NULL COMMENT 'server that may be writable',
  expires BIGINT NOT NULL COMMENT 'by its clock, microseconds since 1970 in UTC',
  epoch BIGINT UNSIGNED NOT NULL COMMENT 'a newer epoch of this server makes the lease void',
  active BOOLEAN NOT NULL COMMENT 'false: the server need not close itself',
  holder VARCHAR(255) NOT NULL COMMENT 'who renews it',
  PRIMARY KEY (server_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`

// off is the condition that the switch is off. As a number every word is 0, and MariaDB 12 has words for read_only.
func off(s string) string { return "CAST(" + s + " AS CHAR) IN ('0', 'OFF')" }

// definition is the event without its first words. It ends sessions first: one that holds locks, or waits in a chain of
// locks, would keep the flag waiting, and one that may write in spite of read_only would go on. A commit that waits for
// an acknowledgement is not ended, because MariaDB would make it visible. A flag that is not granted within a second is
// tried again by the next execution; only one works at a time.
func definition(d flavor.Dialect) string {
	flag := "read_only"
	if flavor.HasSuperReadOnly(d) {
		flag = "super_read_only"
	}
	return `ON SCHEDULE EVERY 1 SECOND ON COMPLETION PRESERVE ENABLE COMMENT '` + version + `' DO
BEGIN
  DECLARE victim BIGINT UNSIGNED;
  DECLARE done BOOLEAN DEFAULT FALSE;
  DECLARE pass INT DEFAULT 0;
  DECLARE victims CURSOR FOR SELECT p.id FROM information_schema.processlist p
    WHERE p.id <> CONNECTION_ID() AND p.user <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
    AND p.user NOT IN ('system user', 'event_scheduler', 'unauthenticated user')
    AND p.command NOT LIKE 'Binlog Dump%' AND p.command NOT LIKE 'Slave\_%'
    AND p.command NOT IN ('Daemon', 'Register Slave', 'Register Replica', 'Connect')
    AND COALESCE(p.state, '') NOT LIKE 'Waiting for semi-sync%';
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
  DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
  IF ` + off("@@global."+flag) + ` AND EXISTS (SELECT 1 FROM ` + table + ` l WHERE l.server_id = @@global.server_id
    AND l.active AND l.expires < ` + clock + `
    AND NOT EXISTS (SELECT 1 FROM ` + flavor.Schema + `.epoch e WHERE e.server_id = l.server_id AND e.epoch > l.epoch))
    AND GET_LOCK('` + event + `', 0) = 1 THEN
    SET SESSION lock_wait_timeout = 1;
    WHILE pass < 2 DO
      SET done = FALSE;
      OPEN victims;
      ending: LOOP
        FETCH victims INTO victim;
        IF done THEN LEAVE ending; END IF;
        KILL victim;
      END LOOP;
      CLOSE victims;
      SET GLOBAL ` + flag + ` = 1;
      SET pass = pass + 1;
    END WHILE;
    DO RELEASE_LOCK('` + event + `');
  END IF;
END`
}

// Install creates what is missing on the primary and enables the event there. It can be repeated, and must be after
// every change of the primary. q should be a connection whose lock waits are bounded. It wants the rights EVENT and
// CREATE on the schema; the event runs with the rights of the account that installed it.
func Install(ctx context.Context, q flavor.Querier, d flavor.Dialect) error {
	state, err := eventState(ctx, q)
	switch {
	case err != nil:
		return err
	case state == "ENABLED "+version:
		return nil
	}
	define := "CREATE EVENT IF NOT EXISTS " // so that it can be replicated once more, after a rewind
	if state != "" {
		define = "ALTER EVENT "
	}
	for _, statement := range []string{createTable, define + event + " " + definition(d)} {
		if _, err := q.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("install the watchdog: %w", err)
		}
	}
	return nil
}

// Disarm ends the lease of the server behind q, which must be writable: it does not close itself any more. To be called
// when the renewals end on purpose. Without a lease it does nothing.
func Disarm(ctx context.Context, q flavor.Querier) error {
	state, err := eventState(ctx, q)
	if err != nil || state == "" {
		return err
	}
	_, err = q.ExecContext(ctx, "UPDATE "+table+" SET active = FALSE WHERE server_id = @@global.server_id AND active AND "+off("@@global.read_only"))
	if err != nil {
		return fmt.Errorf("end the lease: %w", err)
	}
	return nil
}

// ClosedAfter is how long after a renewal was sent the server has certainly closed itself: the lease, by a clock that
// is up to a tenth slower than ours, up to a second until the event looks, and what ending the sessions takes.
func ClosedAfter(ttl time.Duration) time.Duration { return ttl + ttl/10 + 2500*time.Millisecond }

// eventState gives the event's status and comment; "" when there is none.
func eventState(ctx context.Context, q flavor.Querier) (state string, err error) {
	err = q.QueryRowContext(ctx, `SELECT COALESCE(MAX(CONCAT(status, ' ', event_comment)), '') FROM information_schema.events
WHERE event_schema = ? AND event_name = ?`, flavor.Schema, strings.TrimPrefix(event, flavor.Schema+".")).Scan(&state)
	if err != nil {
		return "", fmt.Errorf("look for the watchdog: %w", err)
	}
	return state, nil
}
