package rewind

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
)

// Plan is what undoing would do. Only Plan of this package makes one.
type Plan struct {
	Server       string
	Transactions []binlog.Transaction // the errant ones, oldest first
	Tables       []string             // schema.table, sorted
	Rows         int                  // that the errant ones changed
	// Refetch counts the transactions that the server has replicated on top of them. They are undone as well, and the
	// primary sends them again.
	Refetch int
	// Was is the server's history with the transactions, Claim the one without; Claim is unknown on MySQL with GTID off.
	Was, Claim gtid.Position

	tail  []undone // oldest first
	steps []step   // oldest first
}

// step is one row change as SQL.
type step struct {
	transaction int // of the tail
	redo, undo  string
}

// planner collects reasons against undoing.
type planner struct {
	t       Target
	conn    *sql.Conn
	tables  map[string]*definition // nil for what is refused as a whole
	reasons []string
}

func (p *planner) refuse(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(p.reasons, s) {
		p.reasons = append(p.reasons, s)
	}
}

// MakePlan finds out whether the errant transactions, oldest first and all that Have lacks, can be undone on the server,
// and how, together with what the server has replicated on top of them. It changes nothing. The error is a *RefusedError with every reason against it, ErrInterrupted, or the
// server's.
func MakePlan(ctx context.Context, t Target, errant []binlog.Transaction) (Plan, error) {
	conn, err := t.DB.Conn(ctx)
	if err != nil {
		return Plan{}, fmt.Errorf("connect to %s: %w", t.Name, err)
	}
	defer func() { _ = conn.Close() }()
	if _, there, err := readMarker(ctx, conn); err != nil || there {
		return Plan{}, errors.Join(err, interrupted(t, there))
	}
	p := &planner{t: t, conn: conn, tables: map[string]*definition{}}
	plan, err := p.plan(ctx, errant)
	if err != nil {
		return Plan{}, fmt.Errorf("plan to undo %d transactions of %s: %w", len(errant), t.Name, err)
	}
	if len(p.reasons) > 0 {
		return Plan{}, &RefusedError{Reasons: p.reasons}
	}
	return plan, nil
}

func interrupted(t Target, there bool) error {
	if !there {
		return nil
	}
	return fmt.Errorf("%s: %w", t.Name, ErrInterrupted)
}

func (p *planner) plan(ctx context.Context, errant []binlog.Transaction) (plan Plan, err error) {
	plan = Plan{Server: p.t.Name, Transactions: errant}
	if plan.Was, err = p.t.Dialect.Position(ctx, p.conn); err != nil {
		return plan, err
	}
	if plan.Claim, err = p.t.claimed(plan.Was); err != nil {
		return plan, err
	}
	if plan.tail, err = p.tail(ctx, errant); err != nil {
		return plan, err
	}
	if plan.Claim, err = p.t.without(ctx, plan.Claim, plan.tail); err != nil {
		return plan, err
	}
	plan.Refetch = replicated(plan.tail)
	if err := p.rights(ctx); err != nil {
		return plan, err
	}
	for i, u := range plan.tail {
		if err := p.transaction(ctx, i, u, &plan); err != nil {
			return plan, err
		}
	}
	plan.Tables = slices.Sorted(maps.Keys(p.tables))
	if len(p.reasons) == 0 {
		err = p.single(ctx, plan.tail)
	}
	if err == nil && len(p.reasons) == 0 {
		err = p.explain(ctx, plan.steps)
	}
	p.complete(errant, plan.Was)
	return plan, err
}

// complete refuses when the list is not everything that the primary lacks. A MariaDB position tells only whether the
// newest one of each domain and server is there.
func (p *planner) complete(errant []binlog.Transaction, was gtid.Position) {
	parse := gtid.ParseMySQL
	if was.Kind() == gtid.KindMariaDB {
		parse = gtid.ParseMariaDB
	}
	if was.Kind() != gtid.KindMariaDB && was.Kind() != gtid.KindMySQL {
		return
	}
	all := p.t.Have
	for _, t := range errant {
		one, err := parse(t.GTID)
		if err != nil || !was.Contains(one) || p.t.Have.Contains(one) {
			p.refuse("%q is no transaction that only %s has.", t.GTID, p.t.Name)
			return
		}
		all = gtid.Union(all, one)
	}
	if !all.Contains(was) {
		p.refuse("The binary log of %s does not hold all transactions that only it has: %s against %s.", p.t.Name, was, all)
	}
}

// rights tries what every rewind needs.
func (p *planner) rights(ctx context.Context) error {
	_, err := p.conn.ExecContext(ctx, "SET SESSION sql_log_bin = 0")
	if err == nil {
		_, err = p.conn.ExecContext(ctx, "SET SESSION sql_log_bin = 1")
	}
	var refused *driver.MySQLError
	if errors.As(err, &refused) && refused.Number == 1227 {
		right := "SESSION_VARIABLES_ADMIN"
		if p.mariadb() {
			right = "BINLOG ADMIN"
		}
		p.refuse("The account may not write past the binary log (GRANT %s ON *.* TO it).", right)
		return nil
	}
	return err
}

func (p *planner) mariadb() bool { return p.t.Dialect.Kind() == flavor.KindMariaDB }

// transaction refuses a transaction or adds its steps.
func (p *planner) transaction(ctx context.Context, i int, t undone, plan *Plan) error {
	name := t.name()
	for _, s := range t.Statements {
		if repeatable(s) {
			continue
		}
		if len(s) > 200 {
			s = s[:200] + "..."
		}
		p.refuse("%s holds a statement, which has no row images: %s.", name, s)
	}
	for _, c := range t.Changes {
		d, err := p.table(ctx, c, t.At)
		if err != nil {
			return err
		}
		if d == nil || !p.images(name, t.Transaction, c) || c.Kind == binlog.Update && d.unchanged(c) {
			continue
		}
		p.sideEffects(name, d, c)
		s := step{transaction: i}
		if s.undo, err = d.undo(c); err == nil {
			s.redo, err = d.redo(c)
		}
		if err != nil {
			p.refuse("%s: %v.", name, err)
			continue
		}
		plan.steps = append(plan.steps, s)
		if !t.replicated {
			plan.Rows++
		}
	}
	return nil
}

// table gives the definition of the change's table; nil when nothing can be done with it.
func (p *planner) table(ctx context.Context, c binlog.Change, at time.Time) (*definition, error) {
	if c.Table == "" {
		p.refuse("Changes of a table cannot be read: %s.", c.Unreadable)
		return nil, nil //nolint:nilnil // the refusal is noted
	}
	name := c.Schema + "." + c.Table
	d, known := p.tables[name]
	if !known {
		found, ok, err := define(ctx, p.conn, p.mariadb(), c.Schema, c.Table)
		if err != nil {
			return nil, err
		}
		if ok {
			d = &found
		}
		p.judgeTable(name, d)
		p.tables[name] = d
	}
	if d == nil {
		return nil, nil //nolint:nilnil // the refusal is noted
	}
	if why := d.fits(c); why != "" {
		p.refuse("Table %s was changed since: %s.", name, why)
		return nil, nil //nolint:nilnil // the refusal is noted
	}
	if c.Schema == flavor.Schema {
		return d, nil // nobody alters these; one may have been made by what is replicated on top
	}
	if len(c.Columns) > 0 && c.Columns[0].Name == "" && d.created.After(at) {
		p.refuse("Table %s was created or altered after the transactions, and the binary log does not name its columns (binlog_row_metadata=FULL).", name)
	}
	return d, nil
}

// judgeTable refuses tables whose changes cannot be rolled back or are not what the log shows.
func (p *planner) judgeTable(name string, d *definition) {
	switch {
	case d == nil:
		p.refuse("Table %s does not exist, or the account may not see it.", name)
	case d.kind != "BASE TABLE":
		p.refuse("%s is no ordinary table (%s).", name, strings.ToLower(d.kind))
	case !strings.EqualFold(d.engine, "InnoDB"):
		p.refuse("Table %s is not transactional (%s).", name, d.engine)
	case !d.seesTriggers:
		p.refuse("The account may not see whether table %s has triggers (GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON %s.* TO it).", name, quoteName(d.schema))
	}
}

// images reports whether the change's images say everything.
func (p *planner) images(name string, t binlog.Transaction, c binlog.Change) bool {
	if c.Unreadable != "" {
		p.refuse("%s changes %s.%s in a way that cannot be read: %s.", name, c.Schema, c.Table, c.Unreadable)
		return false
	}
	if t.Partial {
		p.refuse("%s does not have complete images of the rows of %s.%s (binlog_row_image must be FULL, without PARTIAL_JSON).", name, c.Schema, c.Table)
		return false
	}
	return true
}

// sideEffects refuses what would do more than the log shows, or has done more.
func (p *planner) sideEffects(name string, d *definition, c binlog.Change) {
	if event := inverse(c.Kind); d.triggers[event] {
		p.refuse("Table %s.%s has a trigger on %s, which undoing would fire.", d.schema, d.table, event)
	}
	for _, r := range d.references {
		switch {
		case c.Kind == binlog.Delete && r.actions&actsOnDelete != 0, c.Kind == binlog.Update && r.actions&actsOnUpdate != 0 && d.touches(r, c):
			p.refuse("%s changed rows of %s.%s to which the foreign key %s refers with CASCADE or SET NULL; what that did is not in the binary log.",
				name, d.schema, d.table, r.id)
		}
	}
}

// touches reports whether the update changed a column that r refers to.
func (d *definition) touches(r reference, c binlog.Change) bool {
	for i, col := range d.columns {
		if r.columns[strings.ToLower(col.name)] && fmt.Sprint(c.Before[i]) != fmt.Sprint(c.After[i]) {
			return true
		}
	}
	return false
}

// single refuses rows of tables without a key of which there is more than one: which of them was written cannot be told.
func (p *planner) single(ctx context.Context, tail []undone) error {
	left := map[string]string{} // condition: table, of rows that the transactions have left
	for _, t := range tail {
		for _, c := range t.Changes {
			d := p.tables[c.Schema+"."+c.Table]
			if d == nil || d.key != nil {
				continue
			}
			if err := d.track(c, left); err != nil {
				return err
			}
		}
	}
	for where, table := range left {
		var n int
		if err := p.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table+" WHERE "+where).Scan(&n); err != nil {
			return fmt.Errorf("look for equal rows in %s: %w", table, err)
		}
		if n != 1 {
			p.refuse("Table %s has no unique key, and a row that was written is there %d times.", table, n)
		}
	}
	return nil
}

// track follows rows through a change.
func (d *definition) track(c binlog.Change, left map[string]string) error {
	if c.Before != nil {
		where, err := d.where(c.Before)
		if err != nil {
			return err
		}
		delete(left, where)
	}
	if c.After != nil {
		where, err := d.where(c.After)
		if err != nil {
			return err
		}
		left[where] = d.name()
	}
	return nil
}

// explain lets the server look at one statement of each kind for each table, which shows missing rights.
func (p *planner) explain(ctx context.Context, steps []step) error {
	if err := flavor.Unlogged(ctx, p.conn); err != nil {
		return err
	}
	defer p.forget()
	seen := map[string]bool{}
	for _, s := range steps {
		head, _, _ := strings.Cut(s.undo, " WHERE ")
		head, _, _ = strings.Cut(head, " VALUES ")
		head, _, _ = strings.Cut(head, " SET ")
		if seen[head] {
			continue
		}
		seen[head] = true
		rows, err := p.conn.QueryContext(ctx, "EXPLAIN "+s.undo)
		if err == nil {
			err = errors.Join(rows.Close(), rows.Err())
		}
		var refused *driver.MySQLError
		switch {
		case err == nil:
		case errors.As(err, &refused) && refused.Number == 1290: // super_read_only, which Undo clears
		case errors.As(err, &refused) && (refused.Number == 1142 || refused.Number == 1044):
			p.refuse("The account lacks a right: %s.", refused.Message)
		default:
			return fmt.Errorf("explain %s: %w", head, err)
		}
	}
	return nil
}

// forget ends the connection, whose session has been changed, instead of giving it back to the pool.
func (p *planner) forget() { discard(p.conn) }
