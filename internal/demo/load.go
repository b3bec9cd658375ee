package demo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Table is where the clients write, in the schema of the data source names.
const Table = "onewriter_demo"

const (
	insertSQL = "INSERT INTO " + Table + " (id, client, server_id) VALUES (?, ?, @@server_id)"
	createSQL = "CREATE TABLE IF NOT EXISTS " + Table + " (id BIGINT PRIMARY KEY, client INT NOT NULL, server_id INT UNSIGNED NOT NULL, " +
		"at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))"
	readSQL = "SELECT server_id FROM " + Table + " WHERE id = ?"
	scanSQL = "SELECT COUNT(*) FROM (SELECT id FROM " + Table + " ORDER BY id DESC LIMIT 100) AS recent"
)

// Bounds of the clients. A client never waits forever: that, too, is an error it would notice.
const (
	statementLimit = 30 * time.Second
	afterError     = 100 * time.Millisecond
)

// Config describes the clients.
type Config struct {
	// Writes and Reads are data source names of the listeners for the primary and for a standby, without parameters.
	Writes, Reads string
	// Writers and Readers are the numbers of clients. Every fifth writer connects anew for each write; the others stay
	// connected, and write single rows or transactions, as text or by prepared statements. Every other reader reads
	// from the primary what was just acknowledged, the others read from the standby.
	Writers, Readers int
	// Think is how long a client waits, on average, between two statements.
	Think time.Duration
}

// Load is a set of clients. Create it with NewLoad.
type Load struct {
	cfg    Config
	ledger *Ledger
}

// NewLoad returns clients that write into ledger what they are told. It connects to nothing yet.
func NewLoad(cfg Config, ledger *Ledger) *Load { return &Load{cfg: cfg, ledger: ledger} }

// Prepare creates the table, through the proxy.
func (l *Load) Prepare(ctx context.Context) (err error) {
	db, err := open(l.cfg.Writes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, createSQL); err != nil {
		return fmt.Errorf("creating the table %s: %w", Table, err)
	}
	return nil
}

// Run lets the clients work until ctx is done and returns when the last one has its answer. What goes wrong for a client
// is counted in the ledger.
func (l *Load) Run(ctx context.Context) error {
	var clients []*client
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	for i := range l.cfg.Writers + l.cfg.Readers {
		c, err := l.client(i)
		if err != nil {
			return err
		}
		clients = append(clients, c)
	}
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { c.run(ctx, l.cfg.Think) })
	}
	wg.Wait()
	return nil
}

func (l *Load) client(i int) (*client, error) {
	c := &client{id: i, ledger: l.ledger}
	dsn := l.cfg.Writes
	switch reader := i - l.cfg.Writers; {
	case reader >= 0 && reader%2 == 0:
		c.work = c.readBack
	case reader >= 0:
		dsn, c.work = l.cfg.Reads, c.scan
	default:
		c.rows, c.prepared, c.fresh, c.work = 1, i%2 == 1, i%5 == 4, c.write
		if i%4 >= 2 {
			c.rows = 3
		}
	}
	var err error
	c.db, err = open(dsn)
	return c, err
}

// open opens a pool that keeps no connection and tries nothing twice: an error of the proxy must show.
func open(dsn string) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	cfg.InterpolateParams = true
	cfg.Logger = &mysql.NopLogger{} // the ledger has the errors
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(onceConnector{connector})
	db.SetMaxIdleConns(0)
	return db, nil
}

// onceConnector hides from database/sql that a failed connection could be tried again.
type onceConnector struct{ driver.Connector }

func (c onceConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if errors.Is(err, driver.ErrBadConn) {
		return nil, fmt.Errorf("the connection was closed: %s", err) //nolint:errorlint // wrapped it would be retried
	}
	return conn, err
}

// client is one application. It is used by one goroutine.
type client struct {
	id       int
	ledger   *Ledger
	db       *sql.DB
	rows     int  // per write; more than one makes a transaction
	prepared bool // with a statement prepared once per connection
	fresh    bool // connects anew for each write
	work     func(context.Context) error

	conn *sql.Conn
	stmt *sql.Stmt
}

func (c *client) run(ctx context.Context, think time.Duration) {
	for ctx.Err() == nil {
		wait := time.Duration(rand.Float64() * 2 * float64(think))
		if err := c.step(ctx); err != nil {
			c.ledger.fail(c.id, fmt.Errorf("client %d: %w", c.id, err))
			c.disconnect()
			wait = afterError
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// step does one piece of work. The end of the load does not cut it short, since that would be an error of the load's own
// making.
func (c *client) step(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementLimit)
	defer cancel()
	if c.conn == nil {
		if err := c.connect(ctx); err != nil {
			return err
		}
	}
	if err := c.work(ctx); err != nil {
		return err
	}
	if c.fresh {
		c.disconnect()
	}
	return nil
}

func (c *client) connect(ctx context.Context) (err error) {
	if c.conn, err = c.db.Conn(ctx); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if c.prepared {
		if c.stmt, err = c.conn.PrepareContext(ctx, insertSQL); err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
	}
	return nil
}

func (c *client) disconnect() {
	if c.stmt != nil {
		_ = c.stmt.Close()
	}
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.stmt, c.conn = nil, nil
}

func (c *client) close() {
	c.disconnect()
	_ = c.db.Close()
}

// write writes one row, or several in a transaction.
func (c *client) write(ctx context.Context) error {
	first := c.ledger.begin(c.id, c.rows)
	if c.rows == 1 {
		if err := c.insert(ctx, nil, first); err != nil {
			return fmt.Errorf("row %d: %w", first, err)
		}
	} else if err := c.transaction(ctx, first); err != nil {
		return fmt.Errorf("transaction of rows %d to %d: %w", first, first+int64(c.rows)-1, err)
	}
	c.ledger.acknowledge(c.id, first, c.rows)
	return nil
}

func (c *client) transaction(ctx context.Context, first int64) error {
	tx, err := c.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for id := first; id < first+int64(c.rows); id++ {
		if err := c.insert(ctx, tx, id); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func (c *client) insert(ctx context.Context, tx *sql.Tx, id int64) (err error) {
	switch {
	case c.prepared && tx != nil:
		_, err = tx.StmtContext(ctx, c.stmt).ExecContext(ctx, id, c.id)
	case c.prepared:
		_, err = c.stmt.ExecContext(ctx, id, c.id)
	case tx != nil:
		_, err = tx.ExecContext(ctx, insertSQL, id, c.id)
	default:
		_, err = c.conn.ExecContext(ctx, insertSQL, id, c.id)
	}
	return err
}

// readBack reads from the primary a row that some client was told to be written.
func (c *client) readBack(ctx context.Context) error {
	id := c.ledger.someAcknowledged()
	if id == 0 {
		return nil
	}
	var server uint32
	err := c.conn.QueryRowContext(ctx, readSQL, id).Scan(&server)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("row %d was acknowledged and is not on the primary", id)
	}
	if err != nil {
		return fmt.Errorf("reading row %d: %w", id, err)
	}
	c.ledger.read()
	return nil
}

// scan reads what the standby has.
func (c *client) scan(ctx context.Context) error {
	var n int
	if err := c.conn.QueryRowContext(ctx, scanSQL).Scan(&n); err != nil {
		return fmt.Errorf("reading from the standby: %w", err)
	}
	c.ledger.read()
	return nil
}
