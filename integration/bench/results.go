package main

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"
)

// resultBar is how many times the CPU time of HAProxy the bytes of a large result may cost.
const resultBar = 1.3

// rowSizes are the bytes of a row.
var rowSizes = []int{200, 1000}

// resultRepeats is how often a result is read in one run.
const resultRepeats = 4

// results measures how fast large results pass.
func results(ctx context.Context, r *rig, t *table) error {
	r.say("large results: %d rounds of 2, %d times %d MB each", r.o.rounds, resultRepeats, r.o.bytes/1000000)
	for _, size := range rowSizes {
		if err := r.createRows(ctx, size); err != nil {
			return err
		}
	}
	for round := range r.o.rounds {
		for _, size := range rowSizes {
			got, err := r.each(round, func(at *target) (samples, error) { return r.result(ctx, at, size) })
			if err != nil {
				return err
			}
			t.add(fmt.Sprintf("%d MB in rows of %d bytes", r.o.bytes/1000000, size), got)
		}
	}
	return nil
}

// createRows makes a table of 1024 rows. The load joins it with itself, so that the server reads little.
func (r *rig) createRows(ctx context.Context, size int) error {
	statements := []string{
		fmt.Sprintf("DROP TABLE IF EXISTS app.row%d", size),
		fmt.Sprintf("CREATE TABLE app.row%d (pad VARCHAR(%d) CHARACTER SET latin1 NOT NULL)", size, size),
		fmt.Sprintf("INSERT INTO app.row%d VALUES (REPEAT('x', %d))", size, size),
	}
	for range 10 {
		statements = append(statements, fmt.Sprintf("INSERT INTO app.row%[1]d SELECT * FROM app.row%[1]d", size))
	}
	for _, q := range statements {
		if _, err := r.pair.Servers[0].DB().ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// largeResult is a query for a number of rows.
func largeResult(size, rows int) string {
	return fmt.Sprintf("SELECT a.pad FROM app.row%d a, (SELECT 1 FROM app.row%d LIMIT %d) b LIMIT %d", size, size, rows/1024+1, rows)
}

// result reads one large result at one target.
func (r *rig) result(ctx context.Context, t *target, size int) (samples, error) {
	conn, raw, err := r.rawConn(ctx, t)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	rows := r.o.bytes / size
	query := largeResult(size, rows)
	before, err := t.proc.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := raw.SetDeadline(began.Add(60 * time.Second)); err != nil {
		return nil, err
	}
	var n int64
	for range resultRepeats {
		more, err := readResult(raw, query, rows)
		if n += more; err != nil {
			return nil, err
		}
	}
	took := time.Since(began)
	after, err := t.proc.cpu()
	s := samples{{name: "MB/s", value: float64(n) / 1e6 / took.Seconds()}}
	if t.proc != 0 {
		s = append(s, sample{name: "CPU s/GB", value: (after - before).Seconds() / float64(n) * 1e9, bar: resultBar})
	}
	return s, err
}

// rawConn logs in with the go driver and gives the socket below, so that reading a result costs the client little.
func (r *rig) rawConn(ctx context.Context, t *target) (driver.Conn, net.Conn, error) {
	var raw net.Conn
	c := r.config(t)
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		var err error
		raw, err = d.DialContext(ctx, network, addr)
		return raw, err
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, nil, err
	}
	conn, err := connector.Connect(ctx)
	return conn, raw, err
}

// ask sends a query.
func ask(c net.Conn, query string) error {
	head := make([]byte, 5, 5+len(query))
	binary.LittleEndian.PutUint32(head, uint32(1+len(query))) // the fourth byte is the sequence number, 0
	head[4] = 3                                               // COM_QUERY
	_, err := c.Write(append(head, query...))
	return err
}

// readResult sends a query and reads its result of one column to the end. It looks at packet headers only and returns
// the number of bytes read.
func readResult(c net.Conn, query string, rows int) (int64, error) {
	if err := ask(c, query); err != nil {
		return 0, err
	}
	var total int64
	var at resultReader
	buf := make([]byte, 256<<10)
	for held := 0; ; {
		n, err := c.Read(buf[held:])
		total += int64(n)
		if err != nil {
			return total, fmt.Errorf("after %d rows: %w", at.rows, err)
		}
		rest, done, err := at.feed(buf[:held+n])
		switch {
		case err != nil:
			return total, err
		case done && at.rows != rows:
			return total, fmt.Errorf("%d rows came, not %d", at.rows, rows)
		case done:
			return total, nil
		}
		held = copy(buf, rest)
	}
}

// resultReader knows where in a result of one column the reader is: a count, a definition, an EOF for sessions without
// DEPRECATE_EOF, the rows, and an OK or EOF.
type resultReader struct {
	headers int // packets before the rows
	eof     bool
	rows    int
}

// feed takes bytes and returns those of an incomplete packet at their end.
func (r *resultReader) feed(b []byte) (rest []byte, done bool, err error) {
	for len(b) >= 5 {
		size := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		if len(b) < 4+size {
			break
		}
		switch first := b[4]; {
		case first == 0xff:
			return nil, false, fmt.Errorf("the server refused: %q", b[5:4+size])
		case r.headers < 2:
			r.headers++
		case first == 0xfe && r.rows == 0 && !r.eof && size < 9:
			r.eof = true
		case first == 0xfe:
			return nil, true, nil
		default:
			r.rows++
		}
		b = b[4+size:]
	}
	return b, false, nil
}
