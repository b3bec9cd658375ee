package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	accounts = 10
	deposit  = 10_000
	// pace is the rest after each operation. The machine also runs the servers.
	pace = 10 * time.Millisecond
)

// load is the set of clients.
type load struct {
	r    *rig
	stop context.CancelFunc
	wg   sync.WaitGroup
	id   atomic.Int64
}

// tables are what the clients work on.
var tables = []string{
	"CREATE TABLE writes (id BIGINT PRIMARY KEY, client INT NOT NULL, server INT UNSIGNED NOT NULL)",
	"CREATE TABLE transfers (id BIGINT PRIMARY KEY, client INT NOT NULL, server INT UNSIGNED NOT NULL, src INT NOT NULL, dst INT NOT NULL, amount BIGINT NOT NULL)",
	"CREATE TABLE accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL)",
	"CREATE TABLE sequence (n BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT NOT NULL)",
	"CREATE TABLE counters (client INT PRIMARY KEY, value BIGINT NOT NULL)",
}

// startLoad creates the tables and starts the clients, each on a connection of its own.
func (r *rig) startLoad() *load {
	r.t.Helper()
	db := r.open(r.prog.primary, "")
	rows := make([]string, accounts)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d, %d)", i, deposit/accounts)
	}
	for _, q := range append(slices.Clone(tables), "INSERT INTO accounts VALUES "+strings.Join(rows, ", ")) {
		if _, err := db.Exec(q); err != nil {
			r.t.Fatalf("%s: %v", q, err)
		}
	}
	r.history.Deposit = deposit
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{r: r, stop: cancel}
	for i, run := range []func(*client) Op{
		single, single, single, triple, triple, transfer, transfer, number, count, count, snapshot, snapshotStandby,
	} {
		c := &client{r: r, l: l, n: i, rng: rand.New(rand.NewPCG(*seedFlag, uint64(i)))}
		c.open(i)
		l.wg.Go(func() { c.work(ctx, run) })
	}
	r.t.Cleanup(l.end)
	return l
}

// end stops the clients and waits for their last operations.
func (l *load) end() {
	l.stop()
	l.wg.Wait()
}

// client is one client.
type client struct {
	r       *rig
	l       *load
	n       int
	db      *sql.DB
	standby *sql.DB
	rng     *rand.Rand
	value   int64 // of its counter
	missed  []int64
}

// open opens the client's pools; every other client uses prepared statements.
func (c *client) open(i int) {
	params := "interpolateParams=true"
	if i%2 == 1 {
		params = ""
	}
	c.db, c.standby = c.r.open(c.r.prog.primary, params), c.r.open(c.r.prog.standby, params)
}

func (c *client) work(ctx context.Context, run func(*client) Op) {
	for ctx.Err() == nil {
		began := c.r.now()
		op := run(c)
		op.Client, op.Invoke, op.Told = c.n, began, c.r.now()
		c.r.record(op)
		if op.Kind == Append && op.Outcome == Unknown {
			c.missed = append(c.missed, op.IDs[0])
		}
		if len(c.missed) > 0 && op.Outcome == OK {
			c.lookFor(c.missed[0])
			c.missed = c.missed[1:]
		}
		rest := pace
		if op.Outcome != OK {
			rest = 5 * pace
		}
		if c.r.slow.Load() {
			rest = 50 * pace
		}
		time.Sleep(rest)
	}
}

func (r *rig) record(op Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Ops = append(r.history.Ops, op)
}

// lookFor asks the primary for a row of unknown outcome.
func (c *client) lookFor(id int64) {
	op := Op{Kind: Presence, Client: c.n, IDs: []int64{id}, Invoke: c.r.now()}
	err := c.db.QueryRow("SELECT @@server_id, (SELECT COUNT(*) FROM writes WHERE id = ?)", id).Scan(&op.Server, &op.Value)
	op.Told = c.r.now()
	op.blame(err, false)
	c.r.record(op)
}

func (l *load) next() int64 { return l.id.Add(1) }

const insertSQL = "INSERT INTO writes (id, client, server) VALUES (?, ?, @@server_id)"

// single writes one row.
func single(c *client) Op {
	op := Op{Kind: Append, IDs: []int64{c.l.next()}}
	_, err := c.db.Exec(insertSQL, op.IDs[0], c.n)
	op.blame(err, true)
	return op
}

// triple writes three rows in one transaction.
func triple(c *client) Op {
	op := Op{Kind: Append, IDs: []int64{c.l.next(), c.l.next(), c.l.next()}}
	c.transact(&op, func(tx *sql.Tx) error {
		for _, id := range op.IDs {
			if _, err := tx.Exec(insertSQL, id, c.n); err != nil {
				return err
			}
		}
		return nil
	})
	return op
}

// transfer moves money.
func transfer(c *client) Op {
	op := Op{Kind: Transfer, IDs: []int64{c.l.next()}}
	src := c.rng.IntN(accounts)
	dst, amount := (src+1+c.rng.IntN(accounts-1))%accounts, 1+c.rng.IntN(20)
	c.transact(&op, func(tx *sql.Tx) error {
		var balance int64
		if err := tx.QueryRow("SELECT balance FROM accounts WHERE id = ? FOR UPDATE", min(src, dst)).Scan(&balance); err != nil {
			return err
		}
		for _, change := range [][2]int{{src, -amount}, {dst, amount}} {
			if _, err := tx.Exec("UPDATE accounts SET balance = balance + ? WHERE id = ?", change[1], change[0]); err != nil {
				return err
			}
		}
		_, err := tx.Exec("INSERT INTO transfers (id, client, server, src, dst, amount) VALUES (?, ?, @@server_id, ?, ?, ?)", op.IDs[0], c.n, src, dst, amount)
		return err
	})
	return op
}

// number writes a row that the server numbers.
func number(c *client) Op {
	op := Op{Kind: Sequence, IDs: []int64{c.l.next()}}
	c.transact(&op, func(tx *sql.Tx) error {
		res, err := tx.Exec("INSERT INTO sequence (id) VALUES (?)", op.IDs[0])
		if err != nil {
			return err
		}
		if op.Value, err = res.LastInsertId(); err != nil {
			return err
		}
		_, err = tx.Exec(insertSQL, op.IDs[0], c.n)
		return err
	})
	return op
}

// count raises the client's counter or reads it back.
func count(c *client) Op {
	if c.rng.IntN(2) == 0 {
		op := Op{Kind: ReadBack}
		err := c.db.QueryRow("SELECT COALESCE(MAX(value), 0) FROM counters WHERE client = ?", c.n).Scan(&op.Value)
		op.blame(err, false)
		return op
	}
	c.value++
	op := Op{Kind: Count, Value: c.value}
	_, err := c.db.Exec("INSERT INTO counters (client, value) VALUES (?, ?) ON DUPLICATE KEY UPDATE value = GREATEST(value, VALUES(value))", c.n, c.value)
	op.blame(err, true)
	return op
}

func snapshot(c *client) Op        { return sum(c.db) }
func snapshotStandby(c *client) Op { return sum(c.standby) }

func sum(db *sql.DB) Op {
	op := Op{Kind: Snapshot}
	op.blame(db.QueryRow("SELECT SUM(balance) FROM accounts").Scan(&op.Value), false)
	return op
}

// transact runs body in a transaction. What fails before COMMIT was sent is rolled back for certain.
func (c *client) transact(op *Op, body func(*sql.Tx) error) {
	tx, err := c.db.Begin()
	if err == nil {
		if err = body(tx); err == nil {
			op.blame(tx.Commit(), true)
			return
		}
		_ = tx.Rollback()
	}
	op.blame(err, false)
	op.Twice = op.Twice || duplicate(err)
}

// blame judges an error. Outcomes are in doubt only for statements that commit.
func (o *Op) blame(err error, commits bool) {
	if err == nil {
		return
	}
	o.Outcome, o.Err = Fail, err.Error()
	if commits && doubtful(err) {
		o.Outcome = Unknown
	}
	if duplicate(err) {
		o.Twice, o.Outcome = true, Unknown
	}
}

// doubtful tells whether a write with this error may have been executed.
func doubtful(err error) bool {
	if me := (*mysql.MySQLError)(nil); errors.As(err, &me) {
		switch me.Number {
		case 1053, 1180, 1184, 1317, 1927, 3100:
			return true
		default:
			return false // the server, or the proxy in its place, says that it did not do it
		}
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	return true
}

// duplicate tells whether the server had the row already. Ids are used once.
func duplicate(err error) bool {
	me := (*mysql.MySQLError)(nil)
	return errors.As(err, &me) && me.Number == 1062
}
