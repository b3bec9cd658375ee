package main

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"
)

// resultBar is how many times the CPU time of HAProxy the bytes of a large result may cost.
const resultBar = 1.6

// results measures how fast large results pass.
func results(ctx context.Context, r *rig, t *table) error {
	r.say("large results: %d rounds of 2, %d MB each", r.o.rounds, r.o.bytes/1e6)
	db := r.pair.Servers[0].DB()
	for _, size := range []int{200, 1000} {
		for _, q := range []string{
			fmt.Sprintf("CREATE TABLE app.row%d (pad VARCHAR(%d) CHARACTER SET latin1 NOT NULL)", size, size),
			fmt.Sprintf("INSERT INTO app.row%d VALUES (REPEAT('x', %d))", size, size),
		} {
			if _, err := db.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		for range 10 { // 1024 rows; the load joins them with each other
			if _, err := db.ExecContext(ctx, fmt.Sprintf("INSERT INTO app.row%[1]d SELECT * FROM app.row%[1]d", size)); err != nil {
				return err
			}
		}
	}
	for round := range r.o.rounds {
		for _, size := range []int{200, 1000} {
			got, err := r.each(round, func(at *target) (samples, error) { return r.result(ctx, at, size) })
			if err != nil {
				return err
			}
			t.add(fmt.Sprintf("large result, rows of %d bytes", size), got)
		}
	}
	return nil
}

// result reads one large result at one target.
func (r *rig) result(ctx context.Context, t *target, size int) (samples, error) {
	conn, raw, err := r.rawConn(ctx, t)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	rows := r.o.bytes / size
	query := fmt.Sprintf("SELECT a.pad FROM app.row%d a, (SELECT 1 FROM app.row%d LIMIT %d) b LIMIT %d", size, size, rows/1024+1, rows)
	before, err := t.proc.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := raw.SetDeadline(began.Add(60 * time.Second)); err != nil {
		return nil, err
	}
	n, err := readResult(raw, query, rows)
	if err != nil {
		return nil, err
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

// readResult sends a query and reads its result of one column to the end: a count, a definition, an EOF for sessions
// without DEPRECATE_EOF, the rows, and an OK or EOF. It looks at packet headers only and returns the bytes read.
func readResult(c net.Conn, query string, rows int) (int64, error) {
	head := make([]byte, 5, 5+len(query))
	binary.LittleEndian.PutUint32(head, uint32(1+len(query))) // the fourth byte is the sequence number, 0
	head[4] = 3                                               // COM_QUERY
	if _, err := c.Write(append(head, query...)); err != nil {
		return 0, err
	}
	var total int64
	buf := make([]byte, 256<<10)
	held, packet, body := 0, 0, 0
	for {
		n, err := c.Read(buf[held:])
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return total, err
		}
		total += int64(n)
		b := buf[:held+n]
		for len(b) >= 5 {
			size := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
			if len(b) < 4+size {
				break
			}
			switch first := b[4]; {
			case first == 0xff:
				return total, fmt.Errorf("the server refused: %q", b[5:4+size])
			case first == 0xfe && packet == 2 && body == 0 && size < 9: // the EOF between definition and rows
				packet--
			case first == 0xfe:
				if body != rows {
					return total, fmt.Errorf("%d rows came, not %d", body, rows)
				}
				return total, nil
			case packet >= 2:
				body++
			}
			packet++
			b = b[4+size:]
		}
		held = copy(buf, b)
	}
}
