package failover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// inspect looks at all servers at once. In a precheck the primary is looked at last, so that a standby that is up to
// date is never seen ahead of it, and with everything that could speak against a switchover.
func (e *executor) inspect(ctx context.Context, primary string) view {
	v := make(view, len(e.cfg.Servers))
	var wg sync.WaitGroup
	for i, instance := range e.cfg.Servers {
		if instance.Name != primary {
			wg.Go(func() { v[i] = e.inspectOne(ctx, instance, primary) })
		}
	}
	wg.Wait()
	for i, instance := range e.cfg.Servers {
		if instance.Name == primary {
			v[i] = e.inspectOne(ctx, instance, primary)
			for tries := 0; tries < flightTries && aheadOf(v, v[i]) && pause.For(ctx, flightWait) == nil; tries++ {
				v[i] = e.inspectOne(ctx, instance, primary)
			}
		}
	}
	e.findTwins(ctx, v)
	return v
}

// Under AFTER_SYNC a standby has what the primary has not yet committed, and may have shown it before: it counts as ahead
// when the primary does not catch up with what it was seen to have.
const (
	flightTries = 20
	flightWait  = 50 * time.Millisecond
)

// aheadOf reports whether a server in v has, by GTID, what p has not.
func aheadOf(v view, p serverView) bool {
	return slices.ContainsFunc(v, func(o serverView) bool {
		return p.ok() && o.ok() && o.Instance != p.Instance && len(historyReasons(p, o)) > 0
	})
}

// inspectOne never fails: what went wrong is in the view. primary is set before a switchover only.
func (e *executor) inspectOne(ctx context.Context, instance topology.Instance, primary string) serverView {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Statement)
	defer cancel()
	v := serverView{Instance: instance, Lag: -1}
	s := e.servers[instance.Name]
	conn, d, err := s.conn(ctx)
	if err == nil {
		err = s.look(ctx, conn, d, &v)
		if err == nil && primary != "" {
			v.Acknowledgers, err = flavor.SemiSyncClients(ctx, conn)
		}
		err = errors.Join(err, conn.Close())
		if err == nil && primary == instance.Name {
			err = s.lookForBlockers(ctx, &v, e.cfg.Limits)
		}
	}
	if err != nil {
		s.forget()
		v.Err, v.Turned = strings.TrimRight(err.Error(), "."), d == nil && turnedAway(err)
		if d != nil && lacksRight(err) {
			v.Denied = &SetupError{Server: instance.Name, SQL: SetupSQL(d.Name(), e.cfg.ControlUser), Err: err}
		}
	}
	return v
}

// admitted gives the *SetupError when the control account lacks a right at the start. Later the same is one more
// reason why a server cannot be asked.
func (e *executor) admitted(v view) error {
	if e.let {
		return nil
	}
	for _, s := range v {
		if s.Denied != nil {
			e.denied = s.Denied
			return s.Denied
		}
	}
	e.let = true
	return nil
}

// look fills v with what every inspection needs.
func (s *server) look(ctx context.Context, conn *sql.Conn, d flavor.Dialect, v *serverView) error {
	if err := s.sweep(ctx, conn, d); err != nil {
		return err
	}
	begun := time.Now()
	if _, _, err := d.ReadOnly(ctx, conn); err != nil {
		return fmt.Errorf("read the flags: %w", err)
	}
	v.RTT = time.Since(begun)
	var err error
	if v.Row, err = newestEpoch(ctx, conn); err != nil {
		return fmt.Errorf("read onewriter.epoch: %w", err)
	}
	if v.Facts, err = d.Observe(ctx, conn); err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	s.setServerID(v.Facts.ServerID)
	if v.Binlog, err = d.BinlogPosition(ctx, conn); err != nil {
		return fmt.Errorf("read the position of its binary log: %w", err)
	}
	if v.Facts.Position.Kind() == gtid.KindFile {
		if v.Logs, err = binlog.Logs(ctx, conn); err != nil {
			return err
		}
	}
	for _, l := range v.Facts.Links {
		if l.LagKnown {
			v.Lag = max(v.Lag, l.Lag)
		}
	}
	return nil
}

// lookForBlockers fills in what matters on the primary before a switchover.
func (s *server) lookForBlockers(ctx context.Context, v *serverView, limits Limits) (err error) {
	conn, d, err := s.conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if v.PreparedXA, err = d.PreparedXA(ctx, conn); err != nil {
		return fmt.Errorf("list prepared XA transactions: %w", err)
	}
	semi, err := d.SemiSync(ctx, conn)
	if err != nil {
		return fmt.Errorf("read the semi-sync settings: %w", err)
	}
	v.SemiSyncSource = semi.Source
	sessions, err := d.Sessions(ctx, conn)
	if err != nil {
		return fmt.Errorf("list the sessions: %w", err)
	}
	for _, x := range sessions {
		if x.User == s.user || x.System || x.Replication {
			continue
		}
		s.judgeSession(x, v, limits)
	}
	return nil
}

// judgeSession sorts one session of the primary into what refuses a switchover, what lengthens it, and the rest.
func (s *server) judgeSession(x flavor.Session, v *serverView, limits Limits) {
	long := x.Time >= limits.LongStatement
	b := Blocker{ID: x.ID, User: x.User, Host: x.Host, Seconds: x.Time.Seconds()}
	switch {
	case long && x.Command != "Sleep" && globalWork(x):
		v.DDL = append(v.DDL, fmt.Sprintf("Connection %d of %s on %s has been running for %s: %s. Wait for it or end it first.",
			x.ID, x.User, s.instance.Name, x.Time.Round(time.Second), firstWords(x.Info)))
		return
	case x.Privileged && v.Facts.Flavor != "mysql":
		b.Reason = "its account may write in spite of read_only: it will be disconnected"
	case x.LocksTables:
		b.Reason = "it holds table locks (LOCK TABLES, FLUSH TABLES or a schema change); it is ended if the fence has to wait for it"
	case long && x.InTransaction:
		b.Reason = "a transaction is open; it is ended if it is still open after the drain limit"
	case long && x.Command != "Sleep" && !x.AutocommitReadOnly:
		b.Reason = "a statement is running; it is ended if it writes and is still running after the drain limit"
	default:
		return
	}
	v.Blockers = append(v.Blockers, b)
}

// globalWork reports whether the session changes a schema or holds up everybody: work that is not worth ending.
func globalWork(x flavor.Session) bool {
	info := strings.ToUpper(strings.TrimSpace(x.Info))
	for _, prefix := range []string{"ALTER ", "CREATE INDEX", "CREATE UNIQUE", "DROP INDEX", "OPTIMIZE ", "REPAIR ", "TRUNCATE ", "RENAME ", "FLUSH TABLES", "LOAD DATA"} {
		if strings.HasPrefix(info, prefix) {
			return true
		}
	}
	return strings.Contains(x.State, "global read lock") || strings.Contains(x.State, "backup lock")
}

// firstWords is the beginning of a statement for a person, up to the first literal or list: it goes to the log as well, and
// what is in quotes may be a password.
func firstWords(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if i := strings.IndexAny(s, `'"(=`); i >= 0 {
		s = s[:i] + "..."
	}
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// Error numbers of the servers (the same in both flavours).
const (
	errBadDB       = 1049 // ER_BAD_DB_ERROR
	errNoSuchTable = 1146 // ER_NO_SUCH_TABLE
)

// newestEpoch reads the highest row of onewriter.epoch; a missing table is no row.
func newestEpoch(ctx context.Context, q flavor.Querier) (epochRow, error) {
	var r epochRow
	err := q.QueryRowContext(ctx, "SELECT epoch, primary_name, server_id FROM onewriter.epoch ORDER BY epoch DESC LIMIT 1").
		Scan(&r.Epoch, &r.Name, &r.ServerID)
	if errors.Is(err, sql.ErrNoRows) || isMySQLError(err, errBadDB, errNoSuchTable) {
		return epochRow{}, nil
	}
	return r, err
}

func isMySQLError(err error, numbers ...uint16) bool {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range numbers {
		if e.Number == n {
			return true
		}
	}
	return false
}
