package rejoin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
)

// errRestartFailed is ER_RESTART_SERVER_FAILED: nobody starts the server again after CLONE but a person.
const errRestartFailed = 3707

// Rebuild replaces all data of old by a copy of primary's and makes it follow primary. On MySQL 8.0.17 and newer the
// server does it with CLONE, logged in to primary as its Binlog.User; CloneGrants tells the rights. The plugin is
// installed where it is missing. Old ends or restarts itself after the copy; Rebuild waits for it as long as ctx allows,
// then the error is an ErrNotBack: start it, and it will be judged clean. Where CLONE does not exist the error is a
// *ManualError with the commands. Old must be closed.
func Rebuild(ctx context.Context, old, primary Server, acc Account) error {
	if k := old.Dialect.Kind(); k != flavor.KindMySQL80 && k != flavor.KindMySQL84 {
		return &ManualError{Why: old.Instance.Name + " cannot replace its own data.", Commands: Commands(old, primary)}
	}
	was, is, err := bothFacts(ctx, old, primary)
	switch {
	case err != nil:
		return err
	case was.Writable():
		return fmt.Errorf("rebuild %s: %w", old.Instance.Name, ErrNotClosed)
	case !acc.known() && len(is.Links) == 0:
		return fmt.Errorf("rebuild %s: %w", old.Instance.Name, ErrNoAccount) // the copy would have none to follow with
	}
	if err := stopLinks(ctx, old); err != nil {
		return err
	}
	for _, s := range []Server{primary, old} {
		if err := ensureClone(ctx, s); err != nil {
			return &ManualError{Why: fmt.Sprintf("CLONE cannot be used on %s: %v.", s.Instance.Name, err), Commands: Commands(old, primary)}
		}
	}
	if err := clone(ctx, old, primary); err != nil {
		return err
	}
	return followCopied(ctx, old, primary, acc, !is.GTID)
}

// ensureClone installs the plugin where it is missing.
func ensureClone(ctx context.Context, s Server) error {
	var status string
	if err := s.DB.QueryRowContext(ctx, "SELECT COALESCE(MAX(plugin_status), '') FROM information_schema.plugins WHERE plugin_name = 'clone'").Scan(&status); err != nil {
		return fmt.Errorf("read the plugins: %w", err)
	}
	if status == "ACTIVE" {
		return nil
	}
	return withoutSuper(ctx, s, func() error {
		if _, err := s.DB.ExecContext(ctx, clonePlugin); err != nil {
			return fmt.Errorf("%s: %w", clonePlugin, err)
		}
		return nil
	})
}

// withoutSuper runs do on a server whose super_read_only, if it is set, is lifted meanwhile; read_only stays. Under
// super_read_only neither plugins can be installed nor data be replaced (error 1290, MySQL 9.7). It is set again only after
// a failure: after success of a CLONE the server is gone.
func withoutSuper(ctx context.Context, s Server, do func() error) error {
	_, super, err := s.Dialect.ReadOnly(ctx, s.DB)
	if err != nil {
		return fmt.Errorf("read the flags of %s: %w", s.Instance.Name, err)
	}
	if !super {
		return do()
	}
	if _, err := s.DB.ExecContext(ctx, "SET GLOBAL super_read_only = 0"); err != nil {
		return fmt.Errorf("lift super_read_only on %s: %w", s.Instance.Name, err)
	}
	err = do()
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if restartFailed(err) {
		return err // there is no server to set it on
	}
	return errors.Join(err, s.Dialect.SetReadOnly(undo, s.DB))
}

// clone copies the data and waits until the server is back with them.
func clone(ctx context.Context, old, primary Server) error {
	host, port, err := primary.hostPort()
	if err != nil {
		return err
	}
	name := old.Instance.Name
	if _, err := old.DB.ExecContext(ctx, fmt.Sprintf("SET GLOBAL clone_valid_donor_list = '%s:%d'", host, port)); err != nil {
		return fmt.Errorf("allow %s to copy %s: %w", name, primary.Instance.Name, err)
	}
	before, _, _, err := copyState(ctx, old)
	if err != nil {
		return err
	}
	err = withoutSuper(ctx, old, func() error {
		_, err := old.DB.ExecContext(ctx, fmt.Sprintf("CLONE INSTANCE FROM %s@%s:%d IDENTIFIED BY %s",
			quote(primary.Binlog.User), quote(host), port, quote(primary.Binlog.Password)))
		return err
	})
	if refusedClone(err) {
		return fmt.Errorf("copy %s to %s, whose own data may be gone already: %w", primary.Instance.Name, name, err)
	}
	unattended := restartFailed(err)
	err = awaitCopy(ctx, old, before)
	if err != nil && unattended {
		return fmt.Errorf("the data of %s were copied to %s, which has ended because no supervisor restarts it (error %d): start it, it will be judged and attached: %w",
			primary.Instance.Name, name, errRestartFailed, err)
	}
	return err
}

// restartFailed reports that the copy is complete but that nobody starts the server again.
func restartFailed(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && e.Number == errRestartFailed
}

// refusedClone reports that the server answered with an error of its own; a connection that broke is a restart.
func refusedClone(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && e.Number != errRestartFailed
}

// copyState reads what the server tells of its latest copy: when it began ("" when there was none), what became of it,
// and the error.
func copyState(ctx context.Context, s Server) (began, state, message string, err error) {
	err = s.DB.QueryRowContext(ctx, "SELECT CAST(begin_time AS CHAR), state, COALESCE(error_message, '') FROM performance_schema.clone_status ORDER BY id DESC LIMIT 1").
		Scan(&began, &state, &message)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", "", nil
	}
	if err != nil {
		return "", "", "", fmt.Errorf("read what became of the copy on %s: %w", s.Instance.Name, err)
	}
	return began, state, message, nil
}

// awaitCopy waits until the server answers again and tells how a copy later than the one of before has ended, which it
// knows only after its restart.
func awaitCopy(ctx context.Context, old Server, before string) error {
	for {
		began, state, message, err := copyState(ctx, old)
		switch {
		case err != nil || began == before || state == "In Progress" || state == "Not Started":
		case state == "Completed":
			return nil
		default:
			return fmt.Errorf("the copy on %s ended as %q: %s", old.Instance.Name, state, message)
		}
		if wait := pause.For(ctx, 250*time.Millisecond); wait != nil {
			return fmt.Errorf("%w: %w", ErrNotBack, errors.Join(wait, err))
		}
	}
}

// followCopied makes the copy follow. It has the links of the server it was copied from, which may lead to itself.
func followCopied(ctx context.Context, old, primary Server, acc Account, filePos bool) error {
	if err := old.Dialect.SetReadOnly(ctx, old.DB); err != nil {
		return fmt.Errorf("close %s after its restart: %w", old.Instance.Name, err)
	}
	if err := stopLinks(ctx, old); err != nil {
		return err
	}
	facts, err := old.observe(ctx)
	if err != nil {
		return err
	}
	for i, l := range facts.Links {
		if i == 0 && !acc.known() {
			continue // its account is needed
		}
		if err := old.Dialect.ResetReplica(ctx, old.DB, l.Channel); err != nil {
			return fmt.Errorf("take the copied link of %s to %s away: %w", old.Instance.Name, l.Source, err)
		}
	}
	d := coord.Departure{Server: old.Instance.Name, FilePos: filePos}
	if filePos {
		if d.Binlog, err = copiedAt(ctx, old); err != nil {
			return err
		}
	}
	return Reattach(ctx, old, primary, acc, d)
}

// copiedAt is the place in the source's binary log that the copy is at.
func copiedAt(ctx context.Context, old Server) (string, error) {
	var file string
	var pos uint64
	err := old.DB.QueryRowContext(ctx, "SELECT binlog_file, binlog_position FROM performance_schema.clone_status ORDER BY id DESC LIMIT 1").Scan(&file, &pos)
	if err != nil {
		return "", fmt.Errorf("read the place of the copy on %s: %w", old.Instance.Name, err)
	}
	return gtid.FilePos(file, pos).String(), nil
}
