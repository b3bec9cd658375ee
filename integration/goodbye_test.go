package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// goodbyes are about servers that end connections by themselves: errors that nobody asked for, and those amid a command.
func goodbyes(t *testing.T, f mysqltest.Flavor, pair *mysqltest.Pair, o *onewriter) {
	server := pair.Servers[0]
	if o.status().Primary == "b" {
		server = pair.Servers[1]
	}
	t.Run("killed at the server", func(t *testing.T) { killedAtServer(t, f, server, o) })
	t.Run("wait_timeout", func(t *testing.T) { timedOut(t, f, server, o) })
}

// killedAtServer ends server connections behind the proxy's back while they work. The client is told what the server says
// last, or that its statement was interrupted, and its session goes on with another connection.
func killedAtServer(t *testing.T, f mysqltest.Flavor, server *mysqltest.Server, o *onewriter) {
	direct, proxied := directly(t, server), newVictim(t, o.primary, "app", "app-secret")
	for i, v := range []victim{direct, proxied} {
		v.sleep(server, fmt.Sprintf("killed at the server %d", i))
		mustExec(t, server.DB(), fmt.Sprintf("KILL %d", v.id))
		v.limit()
	}
	want := untilClosed(direct)
	for i := range want {
		if got := proxied.receive(); !bytes.Equal(got, want[i]) {
			t.Errorf("packet %d is %q, want %q", i, got, want[i])
		}
	}
	if len(want) == 0 {
		if e, err := wire.ParseErr(proxied.receive()); err != nil || e.Code != 1317 {
			t.Errorf("the statement ended with %v, %v", e, err)
		}
	}
	proxied.recovers()

	direct, proxied = directly(t, server), newVictim(t, o.primary, "app", "app-secret")
	code := uint16(1927)
	if f == mysqltest.MySQL {
		code = 1317
	}
	for _, v := range []victim{direct, proxied} {
		v.refused("KILL CONNECTION_ID()", code) // no number: the server's affair
	}
	if rest := untilClosed(direct); len(rest) > 0 {
		t.Errorf("behind its own end the server says %q", rest)
	}
	proxied.recovers()
}

// recovers is serves for a session whose server connection may be ending: one command may meet that.
func (v victim) recovers() {
	v.t.Helper()
	v.send(wire.ComPing)
	if p := v.receive(); wire.IsErr(p) {
		if e, err := wire.ParseErr(p); err != nil || e.Code != 1317 {
			v.t.Errorf("ping: %v, %v", e, err)
		}
		v.serves()
	}
}

// untilClosed gives what comes before the end of the connection.
func untilClosed(v victim) (list [][]byte) {
	v.t.Helper()
	for {
		p, err := v.read()
		if err == nil {
			list = append(list, p)
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			v.t.Error("the connection is not closed")
		}
		return list
	}
}

// timedOut lets servers end idle connections. When the client has set the limit, it sees what it would at the server. Of
// the server's own limit a session without anything that only its connection knows does not notice; others are told at
// their next command.
func timedOut(t *testing.T, f mysqltest.Flavor, server *mysqltest.Server, o *onewriter) {
	mustExec(t, server.DB(), "CREATE TABLE IF NOT EXISTS app.timed (id INT PRIMARY KEY)")
	for name, log := range map[string]func(t *testing.T) victim{
		"directly": func(t *testing.T) victim { return directly(t, server) },
		"own":      func(t *testing.T) victim { return newVictim(t, o.primary, "app", "app-secret") },
		"own, in a transaction": func(t *testing.T) victim {
			v := newVictim(t, o.primary, "app", "app-secret")
			v.exec("BEGIN")
			return v
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := log(t)
			c.exec("SET SESSION wait_timeout=1")
			c.limit()
			c.seq = 0 // what comes answers nothing
			p, err := c.read()
			if f == mysqltest.MySQL {
				if e, perr := wire.ParseErr(p); err != nil || perr != nil || e.Code != 4031 || e.State != "HY000" || !strings.HasPrefix(e.Message, "The client was disconnected by the server because of inactivity.") {
					t.Fatalf("MySQL says %q, %v", p, err)
				}
				_, err = c.read()
			}
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("not hung up: %q, %v", p, err)
			}
		})
	}
	mustExec(t, server.DB(), "GRANT REPLICATION SLAVE ON *.* TO 'app'@'%'")
	t.Run("own, streaming", func(t *testing.T) {
		t.Parallel()
		outlives(t, server, newVictim(t, o.primary, "app", "app-secret"))
	})
	var before int
	if err := server.DB().QueryRow("SELECT @@GLOBAL.wait_timeout").Scan(&before); err != nil {
		t.Fatal(err)
	}
	mustExec(t, server.DB(), "SET GLOBAL wait_timeout=1")
	for name, c := range map[string]struct {
		state []string
		check func(v victim)
	}{
		"clean": {[]string{"SET @v='kept', time_zone='+05:00'", "USE other"}, func(v victim) {
			if got := v.text("SELECT CONCAT_WS(',', @v, @@time_zone, DATABASE(), CONNECTION_ID() <> " + fmt.Sprint(v.id) + ")"); len(got) != 1 || got[0] != "kept,+05:00,other,1" {
				v.t.Errorf("the session has become %q", got)
			}
		}},
		"in a transaction": {[]string{"BEGIN", "INSERT INTO timed VALUES (1)"}, func(v victim) {
			v.refused("COMMIT", 1213)
			if got := v.text("SELECT COUNT(*) FROM timed"); len(got) != 1 || got[0] != "0" {
				v.t.Errorf("%q rows", got)
			}
		}},
		"pinned": {[]string{"CREATE TEMPORARY TABLE only_here (id INT)"}, func(v victim) {
			v.refused("SELECT 1", 1053)
			v.hungUp()
		}},
	} {
		v := newVictim(t, o.primary, "app", "app-secret")
		for _, q := range c.state {
			v.exec(q)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v.t = t
			o.eventually(20*time.Second, name+": the server ends the connection", func() error {
				var n int
				err := server.DB().QueryRow("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = ?", v.id).Scan(&n)
				if err == nil && n > 0 {
					err = errors.New("it is still there")
				}
				return err
			})
			c.check(v)
		})
	}
	mustExec(t, server.DB(), fmt.Sprintf("SET GLOBAL wait_timeout=%d", before))
}

// outlives checks that a stream of the binary log goes on beyond the wait_timeout of its session, as at a server.
func outlives(t *testing.T, server *mysqltest.Server, v victim) {
	v.exec("SET @master_binlog_checksum='NONE', @source_binlog_checksum='NONE', SESSION wait_timeout=1")
	b := binary.LittleEndian.AppendUint32([]byte{wire.ComBinlogDump}, 4)
	b = binary.LittleEndian.AppendUint16(b, 0) // wait at the end of the log
	b = binary.LittleEndian.AppendUint32(b, dumperID+1)
	v.send(append(b, firstLog(t, server.DB())...)...)
	begun := time.Now()
	later := time.AfterFunc(2600*time.Millisecond, func() { _, _ = server.DB().Exec("CREATE DATABASE streamed") })
	defer later.Stop()
	for p := v.receive(); ; p = v.receive() {
		if p[0] == wire.HeaderERR {
			t.Fatalf("instead of an event: %q", p)
		}
		if time.Since(begun) > 2500*time.Millisecond {
			return
		}
	}
}

// refused runs a statement that has to end with the given error.
func (v victim) refused(sql string, code uint16) {
	v.t.Helper()
	v.send(append([]byte{wire.ComQuery}, sql...)...)
	if e, err := wire.ParseErr(v.receive()); err != nil || e.Code != code {
		v.t.Errorf("%s: %v, %v, want %d", sql, e, err, code)
	}
}
