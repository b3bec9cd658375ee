package backend_test

import (
	"context"
	"testing"
	"time"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

// sha2Ways are the ways a password can take: how the client reaches the frontend, and the frontend the server.
var sha2Ways = []struct {
	name      string
	clientTLS bool
	server    backend.TLSMode
}{
	{"client by RSA, server by TLS", false, backend.TLSPreferred},
	{"client by TLS, server by RSA", true, backend.TLSDisabled},
	{"client by RSA, server by RSA", false, backend.TLSDisabled},
	{"client by TLS, server by TLS", true, backend.TLSRequired},
}

func TestMySQLSHA2(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS s1@'%'", "CREATE USER s1@'%' IDENTIFIED BY 'one'")
	for _, way := range sha2Ways {
		t.Run(way.name, func(t *testing.T) {
			mustExec(t, root.db, "FLUSH PRIVILEGES") // the server forgets whom it knows
			f := newFrontend(t, root.addr, frontendOptions{control: root.db, tls: way.clientTLS, backend: backend.Config{TLS: way.server}})
			mode := tlsMode(way.clientTLS)
			for range 2 { // full, then fast
				user, err := currentUser(open(t, "s1", "one", f.addr(), "", mode))
				if err != nil || user != "s1@%" {
					t.Fatalf("got %q, %v", user, err)
				}
				l := f.last()
				if l.kind != auth.KindPassword || l.server.Secure != (way.server != backend.TLSDisabled) {
					t.Fatalf("secret of kind %v, TLS to the server %v", l.kind, l.server.Secure)
				}
			}
			mustExec(t, root.db, "FLUSH PRIVILEGES") // fast for us, full for the server
			if _, err := currentUser(open(t, "s1", "one", f.addr(), "", mode)); err != nil {
				t.Fatal(err)
			}
			sameRefusal(t, f, "s1", "wrong", "", mode)
		})
	}
}

func tlsMode(on bool) string {
	if on {
		return "skip-verify"
	}
	return "false"
}

func TestMySQLRefusals(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db,
		"DROP USER IF EXISTS s2@'%', locked@'%', expired@'%', elsewhere@'10.%', s0@'%', tlsonly@'%'",
		"CREATE USER s2@'%' IDENTIFIED BY 'two'", "CREATE USER locked@'%' IDENTIFIED BY 'two' ACCOUNT LOCK",
		"CREATE USER expired@'%' IDENTIFIED BY 'two' PASSWORD EXPIRE", "CREATE USER elsewhere@'10.%' IDENTIFIED BY 'two'",
		"CREATE USER s0@'%'", "CREATE USER tlsonly@'%' IDENTIFIED BY 'two' REQUIRE SSL")
	f := newFrontend(t, root.addr, frontendOptions{control: root.db})
	for _, c := range []struct {
		user, password, database string
		code                     uint16
	}{
		{"s2", "wrong", "", 1045},
		{"s2", "", "", 1045},
		{"nobody", "x", "", 1045},
		{"nobody", "", "", 1045},
		{"s0", "x", "", 1045},
		{"elsewhere", "two", "", 1045},
		{"s2", "two", "no_such_database", 1044},
		{"root", "root", "no_such_database", 1049},
		{"locked", "two", "", 3118},
		{"expired", "two", "", 1862},
	} {
		t.Run(c.user+"/"+c.password+"/"+c.database, func(t *testing.T) {
			if got := sameRefusal(t, f, c.user, c.password, c.database, "false"); got.Number != c.code {
				t.Fatalf("got %v, want code %d", got, c.code)
			}
		})
	}
	for _, user := range []string{"s0", "tlsonly"} { // REQUIRE SSL is met by the way to the server
		password := map[string]string{"tlsonly": "two"}[user]
		if _, err := currentUser(open(t, user, password, f.addr(), "", "false")); err != nil {
			t.Fatal(user, err)
		}
	}
}

// The server counts the failures of clients behind the proxy as it counts those of its own.
func TestMySQLLocksAfterFailures(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS guarded@'%'",
		"CREATE USER guarded@'%' IDENTIFIED BY 'right' FAILED_LOGIN_ATTEMPTS 2 PASSWORD_LOCK_TIME 1")
	f := newFrontend(t, root.addr, frontendOptions{control: root.db})
	for range 2 {
		if _, err := currentUser(open(t, "guarded", "wrong", f.addr(), "", "false")); err == nil {
			t.Fatal("a wrong password is accepted")
		}
	}
	if got := sameRefusal(t, f, "guarded", "right", "", "false"); got.Number != 3955 {
		t.Fatalf("got %v", got)
	}
}

func TestMySQLChangedPassword(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS s3@'%'", "CREATE USER s3@'%' IDENTIFIED BY 'old'")
	f := newFrontend(t, root.addr, frontendOptions{control: root.db})
	for range 2 {
		if _, err := currentUser(open(t, "s3", "old", f.addr(), "", "false")); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, root.db, "ALTER USER s3@'%' IDENTIFIED BY 'new'")
	// The cached password explains the reply, the server refuses it, the client is asked in full and refused.
	sameRefusal(t, f, "s3", "old", "", "false")
	for range 2 {
		if _, err := currentUser(open(t, "s3", "new", f.addr(), "", "false")); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, root.db, "ALTER USER s3@'%' IDENTIFIED BY 'newer' RETAIN CURRENT PASSWORD")
	for _, password := range []string{"new", "newer", "new", "newer"} {
		if _, err := currentUser(open(t, "s3", password, f.addr(), "", "false")); err != nil {
			t.Fatal("dual password", password, err)
		}
	}
}

func TestMySQLOtherPlugins(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS s256@'%'", "CREATE USER s256@'%' IDENTIFIED WITH sha256_password BY 'long'")
	for _, way := range sha2Ways {
		t.Run(way.name, func(t *testing.T) {
			f := newFrontend(t, root.addr, frontendOptions{control: root.db, tls: way.clientTLS, backend: backend.Config{TLS: way.server}})
			if _, err := currentUser(open(t, "s256", "long", f.addr(), "", tlsMode(way.clientTLS))); err != nil {
				t.Fatal(err)
			}
			if l := f.last(); l.kind != auth.KindPassword {
				t.Fatalf("secret of kind %v", l.kind)
			}
			sameRefusal(t, f, "s256", "wrong", "", tlsMode(way.clientTLS))
		})
	}
}

func TestMySQLExplicitAndWithoutAccountTable(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS s4@'%', s5@'%'", "CREATE USER s4@'%' IDENTIFIED BY 'four'", "CREATE USER s5@'%' IDENTIFIED BY 'five'")
	f := newFrontend(t, root.addr, frontendOptions{explicit: map[string]auth.Secret{"s4": auth.NewPassword([]byte("four"))}})
	for user, password := range map[string]string{"s4": "four", "s5": "five"} {
		if _, err := currentUser(open(t, user, password, f.addr(), "", "false")); err != nil {
			t.Fatal(user, err)
		}
		if l := f.last(); l.kind != auth.KindPassword {
			t.Fatalf("%s: secret of kind %v", user, l.kind)
		}
		sameRefusal(t, f, user, "wrong", "", "false")
	}
}

func TestMySQLLoginElsewhereAndChangeUser(t *testing.T) {
	root := mySQL(t)
	mustExec(t, root.db, "DROP USER IF EXISTS s6@'%', s7@'%'", "CREATE USER s6@'%' IDENTIFIED BY 'six'", "CREATE USER s7@'%' IDENTIFIED BY 'seven'")
	for _, mode := range []backend.TLSMode{backend.TLSPreferred, backend.TLSDisabled} {
		f := newFrontend(t, root.addr, frontendOptions{control: root.db, backend: backend.Config{TLS: mode}})
		if _, err := currentUser(open(t, "s6", "six", f.addr(), "", "false")); err != nil {
			t.Fatal(err)
		}
		mustExec(t, root.db, "FLUSH PRIVILEGES")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		g, err := f.dialer.Greet(ctx, root.addr)
		if err != nil {
			t.Fatal(err)
		}
		caps := wire.ClientProtocol41 | wire.ClientDeprecateEOF | wire.ClientPluginAuth
		conn, _, err := g.Login(ctx, backend.LoginParams{User: "s6", Secret: f.last().secret, Capabilities: caps, Charset: 45})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ChangeUser(ctx, backend.LoginParams{User: "s7", Secret: auth.NewPassword([]byte("seven")), Charset: 45}); err != nil {
			t.Fatal(err)
		}
	}
}
