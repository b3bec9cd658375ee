package clients

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onewriter/onewriter/integration/clients/stand"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// attemptLimit bounds what has to end by itself after a few seconds.
const attemptLimit = time.Minute

// badGreetings are what a client may meet in place of the greeting g, a packet.
var badGreetings = []struct {
	name string
	say  func(w io.Writer, g []byte)
	hang bool // and then nothing, instead of the end of the connection
}{
	{"nothing", func(io.Writer, []byte) {}, false},
	{"a half", func(w io.Writer, g []byte) { _, _ = w.Write(g[:len(g)/2]) }, false},
	{"a half and silence", func(w io.Writer, g []byte) { _, _ = w.Write(g[:len(g)/2]) }, true},
	{"half a payload", func(w io.Writer, g []byte) { _, _ = w.Write(wire.AppendPacket(nil, 0, g[4:len(g)/2])) }, true},
	{"protocol version 9", func(w io.Writer, g []byte) { g[4] = 9; _, _ = w.Write(g) }, true},
	{"protocol version 11", func(w io.Writer, g []byte) { g[4] = 11; _, _ = w.Write(g) }, true},
	{"a wrong sequence number", func(w io.Writer, g []byte) { g[3] = 5; _, _ = w.Write(g) }, true},
	{"no capabilities", func(w io.Writer, g []byte) { hide(g, 1<<64-1); _, _ = w.Write(g) }, true},
	{"an empty packet", func(w io.Writer, _ []byte) { _, _ = w.Write([]byte{0, 0, 0, 0}) }, true},
	{"half an error", func(w io.Writer, _ []byte) { _, _ = w.Write([]byte{1, 0, 0, 0, 0xff}) }, true},
	{"HTTP", func(w io.Writer, _ []byte) { _, _ = io.WriteString(w, "HTTP/1.1 400 Bad Request\r\n\r\n") }, true},
	{"a version without end", func(w io.Writer, _ []byte) {
		_, _ = w.Write([]byte{0xff, 0xff, 0xff, 0, 10})
		endlessly(w, bytes.Repeat([]byte("8"), 64<<10))
	}, false},
	{"packets without end", func(w io.Writer, _ []byte) {
		endlessly(w, bytes.Repeat(wire.AppendPacket(nil, 0, []byte{10}), 1000))
	}, false},
}

// endlessly writes b again and again until nobody wants it.
func endlessly(w io.Writer, b []byte) {
	for range 64 << 20 / len(b) {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

// greet passes on the server's greeting, without what is hidden, or something else. It is false when the connection is over.
func (l *liar) greet(client, server net.Conn) bool {
	b := make([]byte, 4<<10)
	n, err := server.Read(b)
	g := b[:n]
	if err == nil && len(g) > wire.HeaderSize && g[wire.HeaderSize] == 10 {
		hide(g, l.hidden)
		if l.greets.Load() {
			bad := badGreetings[int(l.greeted.Add(1)-1)%len(badGreetings)]
			bad.say(client, g)
			if bad.hang {
				_, _ = io.Copy(io.Discard, client)
			}
			return false
		}
	}
	_, werr := client.Write(g)
	return err == nil && werr == nil
}

// hide takes capabilities out of a greeting (https://mariadb.com/kb/en/connection/#initial-handshake-packet).
func hide(g []byte, c wire.Capability) {
	low := wire.HeaderSize + 1 + bytes.IndexByte(g[wire.HeaderSize+1:], 0) + 1 + 4 + 8 + 1
	high, extended := low+5, low+14
	for i, at := range []int{low, low + 1, high, high + 1, extended, extended + 1, extended + 2, extended + 3} {
		g[at] &^= byte(c >> (8 * i))
	}
}

// badLogins are what a server may answer to a login. Each begins with the number 2.
var badLogins = [...]struct {
	name string
	say  func(conn net.Conn)
}{
	{"one authentication switch after the other", func(conn net.Conn) {
		for seq := byte(2); ; seq += 2 {
			payload := append([]byte{0xfe}, "mysql_native_password\x00abcdefghijklmnopqrst\x00"...)
			if _, err := conn.Write(wire.AppendPacket(nil, seq, payload)); err != nil || !skipPacket(conn) {
				return
			}
		}
	}},
	{"the same switch without waiting", func(conn net.Conn) {
		endlessly(conn, wire.AppendPacket(nil, 2, append([]byte{0xfe}, "mysql_native_password\x00abcdefghijklmnopqrst\x00"...)))
	}},
	{"a switch without a plugin", func(conn net.Conn) { saySilent(conn, 2, 0xfe) }},
	{"a switch without an end of the name", func(conn net.Conn) { saySilent(conn, 2, append([]byte{0xfe}, bytes.Repeat([]byte("p"), 5000)...)...) }},
	{"a plugin that does not exist", func(conn net.Conn) { saySilent(conn, 2, append([]byte{0xfe}, "no_such_plugin\x00abc"...)...) }},
	{"full authentication again and again", func(conn net.Conn) {
		for seq := byte(2); ; seq += 2 {
			if _, err := conn.Write(wire.AppendPacket(nil, seq, []byte{1, 4})); err != nil || !skipPacket(conn) {
				return
			}
		}
	}},
	{"a wish for the password itself", func(conn net.Conn) {
		_, _ = conn.Write(wire.AppendPacket(nil, 2, append([]byte{0xfe}, "mysql_clear_password\x00"...)))
		b, _ := io.ReadAll(conn)
		leaked.CompareAndSwap(false, bytes.Contains(b, []byte("misled-secret")))
	}},
	{"a key that is none", func(conn net.Conn) { saySilent(conn, 2, append([]byte{1}, "-----BEGIN PUBLIC KEY-----\nAAAA"...)...) }},
	{"half an OK", func(conn net.Conn) { saySilent(conn, 2, 0, 0) }},
	{"an OK with a wrong number", func(conn net.Conn) { saySilent(conn, 9, 0, 0, 0, 2, 0, 0, 0) }},
	{"half an error", func(conn net.Conn) { saySilent(conn, 2, 0xff, 1) }},
	{"an empty packet", func(conn net.Conn) { saySilent(conn, 2) }},
	{"a wish for a file", func(conn net.Conn) { saySilent(conn, 2, append([]byte{0xfb}, "/etc/passwd"...)...) }},
	{"16 MB", func(conn net.Conn) {
		_, _ = conn.Write([]byte{0xff, 0xff, 0xff, 2, 0})
		endlessly(conn, make([]byte, 64<<10))
	}},
	{"nothing more", func(net.Conn) {}},
}

// leaked is set when a password came in clear over a connection without TLS.
var leaked atomic.Bool

// saySilent sends one packet and then nothing, until the other side has had enough.
func saySilent(conn net.Conn, seq byte, payload ...byte) {
	_, _ = conn.Write(wire.AppendPacket(nil, seq, payload))
	_, _ = io.Copy(io.Discard, conn)
}

func skipPacket(conn net.Conn) bool {
	_, _, err := (&peer{Conn: conn}).packet()
	return err == nil
}

// misled is the account that gets the bad login with that number.
func misled(i int) string { return fmt.Sprintf("misled_%d", i) }

// misleads plays the server to the login of an account that is to be misled.
func (l *liar) misleads(conn net.Conn, login []byte) bool {
	at := bytes.Index(login, []byte("misled_"))
	if at < 0 {
		return false
	}
	for i := range badLogins {
		if bytes.HasPrefix(login[at:], []byte(misled(i)+"\x00")) {
			l.answered[i].Add(1)
			badLogins[i].say(conn)
			return true
		}
	}
	return false
}

// spoiltLogins lets a server answer logins with nonsense. Each of these must fail, and soon.
func spoiltLogins(t *testing.T, s *stand.Stand, l *liar) {
	root := s.Pair.Servers[0].DB()
	for i := range badLogins {
		if _, err := root.Exec("CREATE USER " + misled(i) + " IDENTIFIED BY 'misled-secret'"); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i, bad := range badLogins {
		wg.Go(func() {
			err := errors.New("no attempt")
			for end := time.Now().Add(attemptLimit); l.answered[i].Load() == 0 && time.Now().Before(end); { // the proxy has to learn of the account first
				if err = attempt(t, s.Primary, misled(i), "misled-secret"); err == nil {
					t.Errorf("%s: the login succeeded", bad.name)
				}
			}
			if l.answered[i].Load() == 0 {
				t.Errorf("%s: the login was never tried: %v", bad.name, err)
			}
		})
	}
	wg.Wait()
	if leaked.Load() {
		t.Error("a password was sent in clear")
	}
}

// attempt logs in once. It must not hang.
func attempt(t *testing.T, addr, user, password string) error {
	t.Helper()
	db, err := sql.Open("mysql", user+":"+password+"@tcp("+addr+")/?tls=skip-verify")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), attemptLimit)
	defer cancel()
	conn, err := db.Conn(ctx) // once; Ping tries again
	if err == nil {
		_ = conn.Close()
	}
	if ctx.Err() != nil {
		t.Errorf("a login as %s hangs", user)
	}
	return err
}

// spoiltGreetings lets a server greet with nonsense for a while. Clients are not let in then, and are afterwards.
func spoiltGreetings(t *testing.T, s *stand.Stand, l *liar) {
	l.greets.Store(true)
	var wg sync.WaitGroup
	var last atomic.Pointer[error]
	for range 4 {
		wg.Go(func() {
			end := time.Now().Add(attemptLimit)
			for l.greeted.Load() < int64(len(badGreetings)) && time.Now().Before(end) {
				if err := attempt(t, s.Primary, mysqltest.AppUser, mysqltest.AppPassword); err != nil { // a connection from before may serve it
					last.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	l.greets.Store(false)
	if n := l.greeted.Load(); n < int64(len(badGreetings)) {
		t.Errorf("only %d of %d greetings were spoilt: %v", n, len(badGreetings), *last.Load())
	}
	end := time.Now().Add(attemptLimit)
	for err := errors.New("none"); err != nil; {
		if err = attempt(t, s.Primary, mysqltest.AppUser, mysqltest.AppPassword); err != nil && time.Now().After(end) {
			t.Fatalf("the server greets well again, but: %v", err)
		}
	}
}

// confusedControl waits until a standby has said some nonsense to the control account, which must not end the program; that
// ends the test by itself.
func confusedControl(t *testing.T, s *stand.Stand, l *liar) {
	for end := time.Now().Add(attemptLimit); l.confused.Load() < 3 && s.Running(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the control account was confused %d times", l.confused.Load())
		}
	}
	l.confuses.Store(false)
	if _, err := s.Get(t.Context(), "/metrics"); err != nil {
		t.Error(err)
	}
	t.Logf("the control account was confused %d times", l.confused.Load())
}

// hiddenOf are capabilities that one of the servers seems not to have: those that older versions lack, and compression,
// which is up to each hop.
func hiddenOf(f mysqltest.Flavor) wire.Capability {
	if f == mysqltest.MariaDB {
		return wire.MariaDBStmtBulk | wire.MariaDBCacheMetadata | wire.ClientCompress
	}
	return wire.ClientOptionalMetadata | wire.ClientQueryAttributes | wire.ClientCompress
}

// onlyWhatAllCan checks that what one server lacks is offered by no listener, whoever has the role, and that sessions live
// on either.
func onlyWhatAllCan(t *testing.T, f mysqltest.Flavor, s *stand.Stand) {
	direct, err := dialPeer(s.Pair.Servers[0].Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = direct.Close()
	hidden := hiddenOf(f)
	if !direct.greeting.Capabilities.Has(hidden) {
		t.Fatalf("the server offers %#x", uint64(direct.greeting.Capabilities))
	}
	wanted := wire.ClientDeprecateEOF | wire.ClientSessionTrack | wire.ClientCompress | wire.ClientSSL
	if f == mysqltest.MariaDB {
		wanted |= wire.MariaDBProgress | wire.MariaDBExtendedMetadata
	}
	db := openApp(t, s.Primary, "")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	st, err := conn.PrepareContext(t.Context(), "SELECT CONCAT(?, ' at ', @@port)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	for i := range 3 {
		for _, listener := range []string{s.Primary, s.Standby} {
			p, err := dialPeer(listener)
			if err != nil {
				t.Fatal(err)
			}
			_ = p.Close()
			if got := p.greeting.Capabilities; got&hidden&^wire.ClientCompress != 0 || !got.Has(wanted) {
				t.Errorf("%s offers %#x: without %#x it should be, with %#x", listener, uint64(got), uint64(hidden), uint64(wanted))
			}
		}
		var got string
		if err := st.QueryRowContext(t.Context(), "prepared").Scan(&got); err != nil || !strings.HasSuffix(s.Pair.Servers[i%2].Addr(), strings.TrimPrefix(got, "prepared at ")) {
			t.Errorf("after %d switchovers: %q, %v", i, got, err)
		}
		if i < 2 {
			if err := s.Switchover(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
