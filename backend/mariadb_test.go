package backend_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

// open opens a pool of one user at addr; tlsMode is that of the driver's DSN.
func open(t *testing.T, user, password, addr, database, tlsMode string) *sql.DB {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = user, password, "tcp", addr, database
	c.Timeout, c.TLSConfig = 5*time.Second, tlsMode
	c.AllowCleartextPasswords = true
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(0)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func currentUser(db *sql.DB) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var user string
	var err error
	// The driver takes an ed25519 nonce that ends with a zero byte, one in 256, for malformed.
	for range 3 {
		err = db.QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&user)
		if !errors.Is(err, mysql.ErrMalformPkt) {
			break
		}
	}
	return user, err
}

func mustExec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// sameRefusal logs in to the server and through the frontend and wants the same error from both.
func sameRefusal(t *testing.T, f *frontend, user, password, database, tlsMode string) *mysql.MySQLError {
	t.Helper()
	_, direct := currentUser(open(t, user, password, f.server, database, tlsMode))
	_, proxied := currentUser(open(t, user, password, f.addr(), database, tlsMode))
	var want, got *mysql.MySQLError
	if !errors.As(direct, &want) || !errors.As(proxied, &got) {
		t.Fatalf("direct: %v\nproxied: %v", direct, proxied)
	}
	if *got != *want { // code, SQLSTATE and text
		t.Fatalf("direct: %v\nproxied: %v", want, got)
	}
	return got
}

func TestMariaDBNative(t *testing.T) {
	root := mariaDB(t)
	mustExec(t, root.db,
		"CREATE OR REPLACE USER n1@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('one')",
		"CREATE OR REPLACE USER n1@'10.%' IDENTIFIED VIA mysql_native_password USING PASSWORD('other')",
		"CREATE OR REPLACE USER n0@'%'", "CREATE DATABASE IF NOT EXISTS app", "GRANT ALL ON app.* TO n1@'%'")
	for _, tls := range []bool{false, true} {
		f := newFrontend(t, root.addr, frontendOptions{control: root.db, tls: tls})
		mode := "false"
		if tls {
			mode = "skip-verify"
		}
		user, err := currentUser(open(t, "n1", "one", f.addr(), "app", mode))
		if err != nil || user != "n1@%" {
			t.Fatalf("got %q, %v", user, err)
		}
		l := f.last()
		if l.kind != auth.KindSHA1 {
			t.Fatalf("secret is of kind %v", l.kind)
		}
		if user, err = currentUser(open(t, "n0", "", f.addr(), "", mode)); err != nil || user != "n0@%" {
			t.Fatalf("got %q, %v", user, err)
		}
	}
}

func TestMariaDBRefusals(t *testing.T) {
	root := mariaDB(t)
	mustExec(t, root.db,
		"CREATE OR REPLACE USER n2@'%' IDENTIFIED BY 'two'",
		"CREATE OR REPLACE USER locked@'%' IDENTIFIED BY 'two' ACCOUNT LOCK",
		"CREATE OR REPLACE USER expired@'%' IDENTIFIED BY 'two' PASSWORD EXPIRE",
		"CREATE OR REPLACE USER elsewhere@'10.0.0.0/255.0.0.0' IDENTIFIED BY 'two'",
	)
	f := newFrontend(t, root.addr, frontendOptions{control: root.db})
	for _, c := range []struct {
		user, password, database string
		code                     uint16
	}{
		{"n2", "wrong", "", 1045},
		{"n2", "", "", 1045},
		{"elsewhere", "two", "", 1045},
		{"n2", "two", "no_such_database", 1044},
		{"root", "root", "no_such_database", 1049},
		{"locked", "two", "", 4151},
		{"expired", "two", "", 1820}, // disconnect_on_expired_password is off
	} {
		t.Run(c.user+"/"+c.password+"/"+c.database, func(t *testing.T) {
			if c.user == "root" {
				c.user, c.password = root.user, root.password
			}
			if got := sameRefusal(t, f, c.user, c.password, c.database, "false"); got.Number != c.code {
				t.Fatalf("got %v, want code %d", got, c.code)
			}
		})
	}
}

// With ed25519 loaded, MariaDB asks some unknown users with it, and words the refusal accordingly; the Go driver calls
// that a malformed packet. So this one is not compared with a direct login.
func TestMariaDBUnknownUser(t *testing.T) {
	root := mariaDB(t)
	f := newFrontend(t, root.addr, frontendOptions{control: root.db})
	for _, password := range []string{"x", ""} {
		_, err := currentUser(open(t, "nobody", password, f.addr(), "", "false"))
		var got *mysql.MySQLError
		if !errors.As(err, &got) || got.Number != 1045 || !strings.HasPrefix(got.Message, "Access denied for user 'nobody'@") {
			t.Fatalf("got %v", err)
		}
	}
}

func TestMariaDBChangedPassword(t *testing.T) {
	root := mariaDB(t)
	mustExec(t, root.db, "CREATE OR REPLACE USER n3@'%' IDENTIFIED BY 'old'")
	f := newFrontend(t, root.addr, frontendOptions{control: root.db})
	if _, err := currentUser(open(t, "n3", "old", f.addr(), "", "false")); err != nil {
		t.Fatal(err)
	}
	mustExec(t, root.db, "SET PASSWORD FOR n3@'%' = PASSWORD('new')")
	if _, err := currentUser(open(t, "n3", "new", f.addr(), "", "false")); err != nil {
		t.Fatal(err)
	}
	sameRefusal(t, f, "n3", "old", "", "false")
	mustExec(t, root.db, "CREATE OR REPLACE USER n4@'%' IDENTIFIED BY 'four'")
	if _, err := currentUser(open(t, "n4", "four", f.addr(), "", "false")); err != nil {
		t.Fatal("a user created a moment ago:", err)
	}
}

func TestMariaDBWithoutAccountTable(t *testing.T) {
	root := mariaDB(t)
	mustExec(t, root.db, "CREATE OR REPLACE USER n5@'%' IDENTIFIED BY 'five'", "CREATE OR REPLACE USER weak@'%' IDENTIFIED BY 'weak'")
	f := newFrontend(t, root.addr, frontendOptions{control: open(t, "weak", "weak", root.addr, "", "false")})
	if _, err := currentUser(open(t, "n5", "five", f.addr(), "", "false")); err != nil {
		t.Fatal(err)
	}
	if l := f.last(); l.kind != auth.KindNone || l.secret.CanMove() {
		t.Fatalf("secret is of kind %v", l.kind)
	}
	sameRefusal(t, f, "n5", "wrong", "", "false")
}

func TestMariaDBEd25519(t *testing.T) {
	root := mariaDB(t)
	_, _ = root.db.Exec("INSTALL SONAME 'auth_ed25519'")
	mustExec(t, root.db,
		"CREATE OR REPLACE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('curve')",
		"CREATE OR REPLACE USER either@'%' IDENTIFIED VIA ed25519 USING PASSWORD('curve') OR mysql_native_password USING PASSWORD('plain')")
	f := newFrontend(t, root.addr, frontendOptions{control: root.db, explicit: map[string]auth.Secret{"configured": auth.NewPassword([]byte("curve"))}})
	if _, err := currentUser(open(t, "ed", "curve", f.addr(), "", "false")); err != nil {
		t.Fatal(err)
	}
	if l := f.last(); l.kind != auth.KindNone {
		t.Fatalf("secret is of kind %v", l.kind)
	}
	sameRefusal(t, f, "ed", "wrong", "", "false")
	if _, err := currentUser(open(t, "either", "plain", f.addr(), "", "false")); err != nil {
		t.Fatal(err)
	}
	// A configured password logs in with ed25519 itself.
	mustExec(t, root.db, "CREATE OR REPLACE USER configured@'%' IDENTIFIED VIA ed25519 USING PASSWORD('curve')")
	if _, err := currentUser(open(t, "configured", "curve", f.addr(), "", "false")); err != nil {
		t.Fatal(err)
	}
	if l := f.last(); l.kind != auth.KindPassword {
		t.Fatalf("secret is of kind %v", l.kind)
	}
	sameRefusal(t, f, "configured", "wrong", "", "false")
}

func TestLoginElsewhereAndChangeUser(t *testing.T) {
	root := mariaDB(t)
	mustExec(t, root.db, "CREATE OR REPLACE USER n6@'%' IDENTIFIED BY 'six'", "CREATE OR REPLACE USER n7@'%' IDENTIFIED BY 'seven'")
	f := newFrontend(t, root.addr, frontendOptions{control: root.db})
	if _, err := currentUser(open(t, "n6", "six", f.addr(), "", "false")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	g, err := f.dialer.Greet(ctx, root.addr)
	if err != nil {
		t.Fatal(err)
	}
	caps := wire.ClientProtocol41 | wire.ClientDeprecateEOF | wire.ClientPluginAuth
	conn, _, err := g.Login(ctx, backend.LoginParams{User: "n6", Secret: f.last().secret, Capabilities: caps, Charset: 45})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ChangeUser(ctx, backend.LoginParams{User: "n7", Secret: auth.NewPassword([]byte("seven")), Charset: 45}); err != nil {
		t.Fatal(err)
	}
	_, err = conn.ChangeUser(ctx, backend.LoginParams{User: "n7", Secret: auth.NewPassword([]byte("wrong")), Charset: 45})
	var refused *wire.ServerError
	if !errors.As(err, &refused) || refused.Code != 1045 || !strings.Contains(refused.Message, "'n7'@") {
		t.Fatalf("got %v", err)
	}
}

func TestReleasedGreetingIsReused(t *testing.T) {
	root := mariaDB(t)
	d := backend.New(backend.Config{})
	defer d.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	first, err := d.Greet(ctx, root.addr)
	if err != nil {
		t.Fatal(err)
	}
	first.Release()
	second, err := d.Greet(ctx, root.addr)
	if err != nil {
		t.Fatal(err)
	}
	if second.Greeting.ConnID != first.Greeting.ConnID {
		t.Fatalf("connection %d, want %d again", second.Greeting.ConnID, first.Greeting.ConnID)
	}
	third, err := d.Greet(ctx, root.addr)
	if err != nil {
		t.Fatal(err)
	}
	if third.Greeting.ConnID == second.Greeting.ConnID {
		t.Fatal("one connection was given to two")
	}
	third.Release()
	conn, _, err := second.Login(ctx, backend.LoginParams{User: root.user, Secret: auth.NewPassword([]byte(root.password)), Capabilities: wire.ClientProtocol41})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
