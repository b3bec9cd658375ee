package demo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

const (
	createSQL = "CREATE TABLE IF NOT EXISTS writes (id BIGINT PRIMARY KEY, writer INT NOT NULL, server INT UNSIGNED NOT NULL, note VARCHAR(40) NOT NULL)"
	insertSQL = "INSERT INTO writes (id, writer, server, note) VALUES (?, ?, @@server_id, ?)"
	// insertText is the same with the values in it, for the text protocol.
	insertText = "INSERT INTO writes (id, writer, server, note) VALUES (%d, %d, @@server_id, 'written as text')"
)

const (
	rowsPerTransaction = 3
	afterError         = 100 * time.Millisecond
	writerPause        = 2 * time.Millisecond // the time a client of its own thinks
	readerPause        = 5 * time.Millisecond
	// finishTimeout bounds the time that statements get to end after the load was told to stop.
	finishTimeout = 20 * time.Second
)

// load is a set of clients that write and read through onewriter until they are stopped.
type load struct {
	writes, reads, standby *sql.DB
	insert                 *sql.Stmt
	opened                 atomic.Int64 // connections

	began   time.Time
	ops     context.Context // of the statements; done only when the demo is given up
	giveUp  context.CancelFunc
	pause   time.Duration
	forget  bool // count acknowledgements, but do not keep them
	stopped chan struct{}
	wg      sync.WaitGroup

	ids          *atomic.Int64 // the last id given out
	visible      atomic.Int64  // an id that was acknowledged lately
	acknowledged atomic.Int64
	readCount    atomic.Int64

	mu     sync.Mutex
	acks   []ack
	errs   []string // the first ones
	last   string   // the last one
	failed int
}

// newLoad opens the clients' connections and makes the table. Writers wait for pause after each transaction. ids is
// where the ids of rows come from.
func newLoad(ctx context.Context, a addresses, o Options, pause time.Duration, ids *atomic.Int64) (*load, error) {
	l := &load{pause: pause, stopped: make(chan struct{}), ids: ids}
	l.ops, l.giveUp = context.WithCancel(ctx)
	err := l.open(ctx, a, o)
	if err != nil {
		l.close()
		return nil, fmt.Errorf("connect through onewriter: %w", err)
	}
	return l, nil
}

func (l *load) open(ctx context.Context, a addresses, o Options) (err error) {
	onPrimary := (o.Readers + 1) / 2
	if l.writes, err = l.pool(ctx, a.primary, o.Writers); err != nil {
		return err
	}
	if _, err = l.writes.ExecContext(ctx, createSQL); err != nil {
		return err
	}
	if l.insert, err = l.writes.PrepareContext(ctx, insertSQL); err != nil {
		return err
	}
	if l.reads, err = l.pool(ctx, a.primary, onPrimary); err != nil {
		return err
	}
	l.standby, err = l.pool(ctx, a.standby, o.Readers-onPrimary)
	return err
}

// pool opens n connections with the driver's default settings.
func (l *load) pool(ctx context.Context, addr string, n int) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = mysqltest.AppUser, mysqltest.AppPassword, "tcp", addr, "app"
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(counted{connector, &l.opened})
	db.SetMaxOpenConns(max(n, 1))
	db.SetMaxIdleConns(n)
	conns := make([]*sql.Conn, n)
	for i := range conns {
		if conns[i], err = db.Conn(ctx); err != nil {
			break
		}
	}
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close() // back to the pool
		}
	}
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// counted counts the connections that a pool opens.
type counted struct {
	driver.Connector
	opened *atomic.Int64
}

// Connect implements driver.Connector.
func (c counted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err == nil {
		c.opened.Add(1)
	}
	return conn, err
}

// start lets the clients work.
func (l *load) start(o Options) {
	l.began = time.Now()
	l.opened.Store(0)
	for i := range o.Writers {
		l.wg.Go(func() { l.write(i) })
	}
	for i := range o.Readers {
		db := l.reads
		if i%2 == 1 {
			db = l.standby
		}
		l.wg.Go(func() { l.read(db) })
	}
}

// write is one writer. It takes turns between single statements and transactions, both as text and prepared; writers
// begin at different turns.
func (l *load) write(writer int) {
	var acks []ack
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.acks = append(l.acks, acks...)
	}()
	for turn := writer; ; turn++ {
		ids := make([]int64, 1+(rowsPerTransaction-1)*(turn/2%2))
		for i := range ids {
			ids[i] = l.ids.Add(1)
		}
		invoked := time.Since(l.began)
		err := l.writeRows(writer, ids, turn%2 == 1)
		told := time.Since(l.began)
		if err == nil {
			for _, id := range ids {
				if l.forget {
					break
				}
				acks = append(acks, ack{id: id, invoked: invoked, told: told})
			}
			l.acknowledged.Add(int64(len(ids)))
			l.visible.Store(ids[len(ids)-1])
		}
		if !l.goOn(l.note("writer", writer, err, l.pause)) {
			return
		}
	}
}

// writeRows writes one row as a statement of its own, several in a transaction.
func (l *load) writeRows(writer int, ids []int64, prepared bool) error {
	if len(ids) == 1 {
		if prepared {
			_, err := l.insert.ExecContext(l.ops, ids[0], writer, "prepared once")
			return err
		}
		_, err := l.writes.ExecContext(l.ops, fmt.Sprintf(insertText, ids[0], writer))
		return err
	}
	tx, err := l.writes.BeginTx(l.ops, nil)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if prepared {
			_, err = tx.ExecContext(l.ops, insertSQL, id, writer, "in a transaction")
		} else {
			_, err = tx.ExecContext(l.ops, fmt.Sprintf(insertText, id, writer))
		}
		if err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

// read is one reader. On the primary's port a row that was acknowledged must be there.
func (l *load) read(db *sql.DB) {
	for {
		id := l.visible.Load()
		var n int
		err := db.QueryRowContext(l.ops, "SELECT COUNT(*) FROM writes WHERE id = ?", id).Scan(&n)
		if err == nil && n == 0 && id > 0 && db == l.reads {
			err = fmt.Errorf("row %d is acknowledged, but the primary's port does not show it", id)
		}
		l.readCount.Add(1)
		if !l.goOn(l.note("reader", 0, err, readerPause)) {
			return
		}
	}
}

// note counts an error of a client and gives the time that the client waits until it goes on. What fails because the
// demo was given up is no error.
func (l *load) note(who string, number int, err error, pause time.Duration) time.Duration {
	if err == nil || l.ops.Err() != nil {
		return pause
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed++
	if l.last = err.Error(); len(l.errs) < maxErrors {
		l.errs = append(l.errs, fmt.Sprintf("at %.3f s, %s %d: %v", time.Since(l.began).Seconds(), who, number, err))
	}
	return max(pause, afterError)
}

// goOn waits and says whether the load still runs.
func (l *load) goOn(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.stopped:
		return false
	case <-l.ops.Done():
		return false
	}
}

// stop lets the clients finish what they do; what takes longer than finishTimeout is an error of theirs.
func (l *load) stop() {
	close(l.stopped)
	ended := make(chan struct{})
	go func() { l.wg.Wait(); close(ended) }()
	timer := time.NewTimer(finishTimeout)
	defer timer.Stop()
	select {
	case <-ended:
		return
	case <-timer.C:
	}
	l.mu.Lock()
	l.failed++
	l.errs = append(l.errs, fmt.Sprintf("statements got no answer within %s after the end of the load", finishTimeout))
	l.mu.Unlock()
	l.giveUp()
	<-ended
}

// failures counts the errors so far.
func (l *load) failures() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// lastError is the error that was seen last.
func (l *load) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// close gives up what still runs and closes the clients' connections.
func (l *load) close() {
	l.giveUp()
	l.wg.Wait()
	if l.insert != nil {
		_ = l.insert.Close()
	}
	for _, db := range []*sql.DB{l.writes, l.reads, l.standby} {
		if db != nil {
			_ = db.Close()
		}
	}
}
