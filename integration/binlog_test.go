package integration

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"strconv"
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
				server := pair.Servers[i]
				file := firstLog(t, server.DB())
				ways := map[string]func(c *talk) []packet{
					"by position":             func(c *talk) []packet { return dumped(c, file) },
					"by GTID":                 func(c *talk) []packet { return dumpedByGTID(c, f) },
					"as a registered replica": func(c *talk) []packet { c.register(f, server); return dumped(c, file) },
				}
				for way, dump := range ways {
					want := dump(loginWith(t, server.Addr(), "matrix", "matrix-secret", caps))
					for _, extra := range []wire.Capability{0, wire.ClientCompress} {
						t.Run(fmt.Sprintf("server %d, %s, compressed %v", i, way, extra != 0), func(t *testing.T) {
							sameEvents(t, want, dump(loginWith(t, listener, "matrix", "matrix-secret", caps|extra)))
						})
					}
				}
			}
		})
	}
}

// sameEvents compares two dumps of a log that may have grown between them.
func sameEvents(t *testing.T, want, got []packet) {
	t.Helper()
	n := min(len(want), len(got))
	if n < 20 {
		t.Fatalf("only %d and %d events", len(want), len(got))
	}
	for i := range n - 1 {
		if want[i].seq != got[i].seq || !bytes.Equal(want[i].payload, got[i].payload) {
			t.Fatalf("event %d: %s, want %s", i, abbreviated(got[i]), abbreviated(want[i]))
		}
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
	b := binary.LittleEndian.AppendUint32([]byte{wire.ComBinlogDump}, 4)
	b = binary.LittleEndian.AppendUint16(b, dumpNonBlock)
	b = binary.LittleEndian.AppendUint32(b, dumperID)
	return c.events(append(b, file...))
}

// dumpedByGTID gives the same by the identifiers of transactions, of which the reader has none.
func dumpedByGTID(c *talk, f mysqltest.Flavor) (list []packet) {
	c.t.Helper()
	if f == mysqltest.MariaDB {
		for _, q := range []string{"SET @mariadb_slave_capability=4", "SET @slave_connect_state=''", "SET @slave_gtid_strict_mode=0"} {
			c.send(c.query(q)...)
			c.wantOK(q)
		}
		return dumped(c, "")
	}
	b := binary.LittleEndian.AppendUint16([]byte{wire.ComBinlogDumpGTID}, dumpNonBlock)
	b = binary.LittleEndian.AppendUint32(b, dumperID)
	b = binary.LittleEndian.AppendUint32(b, 0) // length of the file's name
	b = binary.LittleEndian.AppendUint64(b, 4) // position
	b = binary.LittleEndian.AppendUint32(b, 8) // length of the set
	return c.events(binary.LittleEndian.AppendUint64(b, 0))
}

const (
	dumpNonBlock = 1 // end at the end of the log
	dumperID     = 4711
)

// events sends a command that asks for the log and gives the answer, up to the end.
func (c *talk) events(command []byte) (list []packet) {
	c.t.Helper()
	c.send(c.query("SET @master_binlog_checksum='NONE', @source_binlog_checksum='NONE'")...)
	c.wantOK("SET")
	c.send(command...)
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

// register makes the connection one of a replica, and checks that the server lists it.
func (c *talk) register(f mysqltest.Flavor, server *mysqltest.Server) {
	c.t.Helper()
	b := binary.LittleEndian.AppendUint32([]byte{wire.ComRegisterSlave}, dumperID)
	for _, text := range []string{"reader.example", "user", "password"} {
		b = wire.AppendLenEncBytes(b, []byte(text))
	}
	b = binary.LittleEndian.AppendUint16(b, 3306)
	c.send(append(b, make([]byte, 8)...)...) // rank and id of the source
	c.wantOK("COM_REGISTER_SLAVE")
	list, id := "SHOW REPLICAS", "Server_Id"
	if f == mysqltest.MariaDB {
		list, id = "SHOW SLAVE HOSTS", "Server_id"
	}
	row, err := server.Row(c.t.Context(), list)
	if err != nil || row["Host"] != "reader.example" || row[id] != strconv.Itoa(dumperID) {
		c.t.Errorf("%s: %v, %v", list, row, err)
	}
}
