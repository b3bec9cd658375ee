package integration

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// TestBinlogThroughListeners reads the binary log of both servers directly and through the listener of their role, plain
// and compressed.
func TestBinlogThroughListeners(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			pair, o := startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true}, "    health: {heartbeat: false}\n")
			matrixSchema(t, f, pair, o)
			caps := matrixBase
			if f == mysqltest.MySQL {
				caps |= wire.ClientMySQL
			}
			o.eventually(20*time.Second, "the standby serves its role", func() error { return open(t, o.strict, "").Ping() })
			for i, listener := range []string{o.primary, o.strict} {
				file := firstLog(t, pair.Servers[i].DB())
				want := dumped(loginWith(t, pair.Servers[i].Addr(), "matrix", "matrix-secret", caps), file)
				for _, extra := range []wire.Capability{0, wire.ClientCompress} {
					got := dumped(loginWith(t, listener, "matrix", "matrix-secret", caps|extra), file)
					n := min(len(want), len(got)) // the log may have grown
					if n < 20 {
						t.Fatalf("%s: only %d and %d events", file, len(want), len(got))
					}
					for j := range n - 1 {
						if want[j].seq != got[j].seq || !bytes.Equal(want[j].payload, got[j].payload) {
							t.Fatalf("server %d, event %d: %s, want %s", i, j, abbreviated(got[j]), abbreviated(want[j]))
						}
					}
				}
			}
		})
	}
}

// firstLog is the oldest file of a server's binary log.
func firstLog(t *testing.T, db *sql.DB) string {
	t.Helper()
	rows, err := db.Query("SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, _ := rows.Columns()
	values := make([]sql.RawBytes, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	if !rows.Next() || rows.Scan(targets...) != nil {
		t.Fatal("no binary log")
	}
	return string(values[0])
}

// dumped gives what COM_BINLOG_DUMP sends up to the end of the log.
func dumped(c *talk, file string) (list []packet) {
	c.t.Helper()
	c.send(c.query("SET @master_binlog_checksum='NONE', @source_binlog_checksum='NONE'")...)
	c.wantOK("SET")
	const nonBlocking = 1
	b := binary.LittleEndian.AppendUint32([]byte{wire.ComBinlogDump}, 4)
	b = binary.LittleEndian.AppendUint16(b, nonBlocking)
	b = binary.LittleEndian.AppendUint32(b, 4711)
	c.send(append(b, file...)...)
	for {
		p := c.next()
		switch list = append(list, p); p.payload[0] {
		case wire.HeaderERR:
			c.t.Fatalf("after %d events: %q", len(list), p.payload)
		case wire.HeaderEOF:
			_ = c.conn.Close()
			return list
		}
	}
}
