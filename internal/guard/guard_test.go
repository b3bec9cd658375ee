package guard

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/wire"
)

const answerLimit = 10 * time.Second

// column is the definition of a column of text with the name v.
var column = []byte{3, 'd', 'e', 'f', 0, 0, 0, 1, 'v', 0, 12, 45, 0, 255, 0, 0, 0, 0xFD, 0, 0, 0, 0, 0}

var (
	okPacket  = []byte{0, 0, 0, 2, 0, 0, 0}
	endOfRows = []byte{0xFE, 0, 0, 2, 0, 0, 0}
	errPacket = append([]byte{0xFF, 0x15, 0x04, '#'}, "28000Access denied"...)
)

// answer numbers packets as the answer to a command.
func answer(payloads ...[]byte) (b []byte) {
	for i, p := range payloads {
		b = wire.AppendPacket(b, byte(i+1), p)
	}
	return b
}

// serve is a server that takes every login, and answers every statement with what say gives. An answer of nil is the end of
// the connection, as is every answer that is no right one.
func serve(t *testing.T, say func(statement string) (b []byte, goOn bool)) *sql.DB {
	return serveLogins(t, func(conn net.Conn) bool {
		greeting := wire.Greeting{
			Version: "9.0", ConnID: 7, Salt: [wire.SaltLen]byte([]byte("abcdefghijklmnopqrst")), Charset: 45, AuthPlugin: "mysql_native_password",
			Capabilities: wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientDeprecateEOF,
		}
		_, _ = conn.Write(wire.AppendPacket(nil, 0, greeting.AppendTo(nil)))
		if _, err := readPacket(conn); err != nil {
			return false
		}
		_, _ = conn.Write(wire.AppendPacket(nil, 2, okPacket))
		return true
	}, say)
}

func serveLogins(t *testing.T, login func(net.Conn) bool, say func(string) ([]byte, bool)) *sql.DB {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				for goOn := login(conn); goOn; {
					p, err := readPacket(conn)
					if err != nil || len(p) == 0 || p[0] == wire.ComQuit {
						return
					}
					var b []byte
					b, goOn = say(string(p[1:]))
					_, _ = conn.Write(b)
				}
			}()
		}
	}()
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr = "control", "tcp", ln.Addr().String()
	config.InterpolateParams, config.Logger = true, &mysql.NopLogger{}
	connector, err := NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1) // a connection that is not given back would show
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func readPacket(conn net.Conn) ([]byte, error) {
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	p := make([]byte, wire.PayloadLen(head[:]))
	_, err := io.ReadFull(conn, p)
	return p, err
}

// value reads one value.
func value(t *testing.T, db *sql.DB) (v string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	defer cancel()
	err = db.QueryRowContext(ctx, "SELECT v").Scan(&v)
	if ctx.Err() != nil {
		t.Fatal("a statement has not come to an end")
	}
	return v, err
}

// settled waits until no more goroutines are there than before.
func settled(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(answerLimit); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, b[:runtime.Stack(b, true)])
		}
	}
}

// TestAnswersThatAreBroken cuts every packet of an answer at every byte and sets every byte to others. Whatever the server
// says is an answer or an error, and the next statement is carried out.
func TestAnswersThatAreBroken(t *testing.T) {
	var say atomic.Pointer[[]byte]
	db := serve(t, func(string) ([]byte, bool) { return *say.Load(), false })
	whole := [][]byte{{1}, column, {1, 'x'}, endOfRows}
	right := answer(whole...)
	faults := 0
	try := func(broken []byte) {
		t.Helper()
		say.Store(&broken)
		if _, err := value(t, db); errors.As(err, new(*FaultError)) {
			faults++
		}
		say.Store(&right)
		v, err := value(t, db)
		if errors.Is(err, mysql.ErrInvalidConn) { // the pool took the connection that the server was about to close
			v, err = value(t, db)
		}
		if v != "x" || err != nil {
			t.Fatalf("after %q: %q, %v", broken, v, err)
		}
	}
	before := runtime.NumGoroutine()
	for _, packets := range [][][]byte{whole, {okPacket}, {errPacket}, {{0, 0, 0, 10, 0, 0, 0}, {1}, column, {1, 'x'}, endOfRows}} {
		for i, p := range packets {
			for cut := range len(p) {
				for _, b := range []int{-1, 0, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF} {
					spoilt := append([][]byte(nil), packets...)
					if spoilt[i] = p[:cut]; b >= 0 {
						spoilt[i] = bytes.Clone(p)
						spoilt[i][cut] = byte(b)
					}
					try(answer(spoilt...))
				}
			}
		}
	}
	if faults < 20 {
		t.Errorf("%d faults: the answers are not broken enough to show anything", faults)
	}
	_ = db.Close()
	settled(t, before)
}

// TestAnswersThatAreTooLarge announces so many columns that no memory suffices for them, which nothing could recover from.
func TestAnswersThatAreTooLarge(t *testing.T) {
	for name, count := range map[string][]byte{
		"2^24-1 columns": {0xFD, 0xFF, 0xFF, 0xFF},
		"2^32 columns":   {0xFE, 0, 0, 0, 0, 1, 0, 0, 0},
		"2^40 columns":   {0xFE, 0, 0, 0, 0, 0, 1, 0, 0},
		"2^63 columns":   {0xFE, 0, 0, 0, 0, 0, 0, 0, 0x80},
	} {
		for behind, first := range map[string][][]byte{"": nil, " behind another result": {{0, 0, 0, 10, 0, 0, 0}}} {
			t.Run(name+behind, func(t *testing.T) {
				db := serve(t, func(string) ([]byte, bool) { return answer(append(first, count, column)...), true })
				if _, err := value(t, db); !errors.As(err, new(*wire.MalformedError)) || !strings.Contains(err.Error(), "columns") {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// TestLoginsThatAreBroken cuts what a server says at a login at every byte; nothing is left of it.
func TestLoginsThatAreBroken(t *testing.T) {
	greeting := wire.Greeting{
		Version: "9.0", ConnID: 7, Salt: [wire.SaltLen]byte([]byte("abcdefghijklmnopqrst")), Charset: 45, AuthPlugin: "mysql_native_password",
		Capabilities: wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth,
	}
	hello := greeting.AppendTo(nil)
	say := func(p []byte) func(net.Conn) bool {
		return func(conn net.Conn) bool { _, _ = conn.Write(wire.AppendPacket(nil, 0, p)); return false }
	}
	then := func(p []byte) func(net.Conn) bool {
		return func(conn net.Conn) bool {
			_, _ = conn.Write(wire.AppendPacket(nil, 0, hello))
			_, _ = readPacket(conn)
			_, _ = conn.Write(wire.AppendPacket(nil, 2, p))
			return false
		}
	}
	var logins []func(net.Conn) bool
	for cut := range hello {
		logins = append(logins, say(hello[:cut]))
	}
	for _, p := range [][]byte{okPacket, errPacket, append([]byte{0xFE}, "caching_sha2_password\x00abcdefghijklmnopqrst\x00"...)} {
		for cut := range p {
			logins = append(logins, then(p[:cut]))
		}
	}
	logins = append(logins, say(errPacket[:3]), func(conn net.Conn) bool { _, _ = conn.Write([]byte{0xFF, 0xFF, 0xFF, 0, 10}); return false })
	before := runtime.NumGoroutine()
	var at atomic.Int64
	db := serveLogins(t, func(conn net.Conn) bool { return logins[at.Load()](conn) }, nil)
	listening := runtime.NumGoroutine()
	for i := range logins {
		at.Store(int64(i))
		ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
		if err := db.PingContext(ctx); err == nil {
			t.Errorf("login %d was accepted", i)
		} else if ctx.Err() != nil {
			t.Errorf("login %d did not end", i)
		}
		cancel()
	}
	_ = db.Close()
	settled(t, max(before, listening-1))
}
