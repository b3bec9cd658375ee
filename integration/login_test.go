package integration

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/certtest"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// The passwords of the accounts of these tests have these in them, so that they can be looked for where no password may be.
const (
	marked     = "Xq7-hunter2"
	configured = "Vk3-rosebud" // the one that is in the configuration too
)

var both = []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL}

// lodge is a pair whose servers have certificates, with an onewriter before it that shows and wants some.
type lodge struct {
	*onewriter
	flavor  mysqltest.Flavor
	pair    *mysqltest.Pair
	ca      *certtest.Authority // signed everything
	clients *certtest.Authority // whom the strict listener trusts
	server  tls.Certificate     // of both servers
	// publicKey is the file with the RSA key that clients of MySQL may have been given
	publicKey string
}

func TestLogins(t *testing.T) {
	for _, f := range both {
		t.Run(f.String(), func(t *testing.T) {
			if major, _ := mysqltest.Release(f); major == 5 {
				t.Skip("MySQL 5.6 speaks no TLS that is still safe, and has none of these accounts")
			}
			l := openLodge(t, f)
			t.Run("accounts", l.accounts)
			t.Run("certificates", l.certificates)
			t.Run("client certificates", l.clientCertificates)
			t.Run("expired passwords", l.expiredPasswords)
			t.Run("changed passwords", l.changedPasswords)
			t.Run("changes of user", l.changesOfUser)
			t.Run("limits", l.limits)
			t.Run("full server", l.fullServer)
			if f == mysqltest.MySQL {
				t.Run("cold caches", l.coldCaches)
			}
			t.Run("secrets", l.secrets)
		})
	}
}

func openLodge(t *testing.T, f mysqltest.Flavor) *lodge {
	l := &lodge{flavor: f, ca: certtest.New(t), clients: certtest.New(t)}
	cert, key := l.ca.Issue("server")
	var err error
	if l.server, err = tls.LoadX509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	config := map[string]string{"ssl-ca": l.ca.File, "ssl-cert": cert, "ssl-key": key}
	if f == mysqltest.MySQL {
		var private string
		private, l.publicKey = rsaKey(t)
		config["plugin-load-add"] = "auth_socket.so"
		config["caching-sha2-password-private-key-path"], config["caching-sha2-password-public-key-path"] = private, l.publicKey
		t.Setenv("ONEWRITER_CLUSTERS_0_RSA_KEY_FILE", private)
	}
	ours, ourKey := l.ca.Issue("onewriter", "127.0.0.1")
	for name, value := range map[string]string{
		"LOG_LEVEL":                                  "trace",
		"CLUSTERS_0_LISTENERS_0_TLS_CERT_FILE":       ours,
		"CLUSTERS_0_LISTENERS_0_TLS_KEY_FILE":        ourKey,
		"CLUSTERS_0_LISTENERS_2_TLS_MODE":            "required",
		"CLUSTERS_0_LISTENERS_2_TLS_CLIENT_CA_FILE":  l.clients.File,
		"CLUSTERS_0_LISTENERS_2_MAX_REPLICATION_LAG": "1h",
		"CLUSTERS_0_SERVER_TLS_CA_FILE":              l.ca.File,
		"CLUSTERS_0_SERVER_TLS_CERT_FILE":            ours,
		"CLUSTERS_0_SERVER_TLS_KEY_FILE":             ourKey,
	} {
		t.Setenv("ONEWRITER_"+name, value)
	}
	l.pair, l.onewriter = startPair(t, mysqltest.PairOptions{Flavor: f, Fast: true, Config: config}, fmt.Sprintf("    users: [{name: a5, password: %q}]\n", configured))
	return l
}

// accounts goes through the matrix: what the client sees must be what it would see directly, also after a switchover.
func (l *lodge) accounts(t *testing.T) {
	type held struct {
		account
		conn *sql.Conn
		who  string
	}
	var sessions []held
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, a := range accounts {
		if !a.on(l.flavor) {
			continue
		}
		for _, q := range a.create {
			if l.flavor == mysqltest.MySQL {
				q = strings.Replace(q, " FOR ", " TO ", 1)
			}
			mustExec(t, l.pair.Servers[0].DB(), q)
			if strings.HasPrefix(q, "SET GLOBAL") {
				mustExec(t, l.pair.Servers[1].DB(), q)
			}
		}
		code := a.refused
		if other, ok := mysqlCodes[code]; ok && l.flavor == mysqltest.MySQL {
			code = other
		}
		start := time.Now()
		_, want, wantErr := a.enter(ctx, t, l.pair.Servers[0].Addr())
		direct := time.Since(start)
		start = time.Now()
		conn, who, err := a.enter(ctx, t, l.primary)
		t.Logf("%-40s direct %4dms proxied %4dms %s %v", a.name, direct.Milliseconds(), time.Since(start).Milliseconds(), who, err)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) && !a.better || who != want && !a.better {
			t.Errorf("%s: %q, %v\nwant %q, %v", a.name, who, err, want, wantErr)
		}
		if code != 0 {
			wantCode(t, err, code)
		} else if err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		if err == nil {
			sessions = append(sessions, held{a, conn, who})
		}
	}
	l.mustSwitch(`{"to":"b"}`)
	for _, s := range sessions {
		who, err := whoami(ctx, s.conn)
		if s.stays {
			if err == nil {
				t.Errorf("%s: moved", s.name)
			}
			continue
		}
		if err != nil || who != s.who {
			t.Errorf("%s: after the switchover %q, %v; want %q", s.name, who, err, s.who)
		}
	}
	l.mustSwitch(`{"to":"a"}`)
}
