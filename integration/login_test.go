package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/certtest"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// The passwords of the accounts of these tests have these in them, so that they can be looked for where no password may be.
const (
	marked     = "Xq7-hunter2"
	configured = "Vk3-rosebud" // the one that is in the configuration too
)

// account is one account and how a client uses it.
type account struct {
	name     string // of the test
	flavors  []mysqltest.Flavor
	create   []string // SQL on the primary
	user     string
	password string
	schema   string
	params   string // of the driver
	plainly  bool   // the client does not use TLS
	stays    bool   // the plugin is relayed: the session ends when the primary moves
	refused  uint16 // the code that the server refuses the login with
	better   bool   // the driver can't do it directly
}

// Codes that the flavours have different numbers for. A MariaDB lets an expired password in unless
// disconnect_on_expired_password is set, and then refuses every statement.
const (
	locked  = 4151
	expired = 1820
)

var mysqlCodes = map[uint16]uint16{locked: 3118, expired: 1862}

var both = []mysqltest.Flavor{mysqltest.MariaDB, mysqltest.MySQL}

// accounts is the matrix: every way to log in that these servers have. Each account is made just before it is used.
// What unknown users are told depends on the plugins that a server has accounts for: MariaDB asks them with any of these.
var accounts = []account{
	{name: "unknown user", user: "nobody", password: marked + "0", refused: 1045},
	{name: "unknown user without password", user: "nobody", refused: 1045},
	{name: "unknown user without TLS", user: "nobody", password: marked + "0", refused: 1045, plainly: true},
	{name: "default plugin", create: []string{"CREATE USER a1@'%' IDENTIFIED BY '" + marked + "1'", "GRANT SELECT ON app.* TO a1@'%'"}, user: "a1", password: marked + "1", schema: "app"},
	{name: "default plugin without TLS", user: "a1", password: marked + "1", schema: "app", plainly: true},
	{name: "sha256_password", flavors: []mysqltest.Flavor{mysqltest.MySQL}, create: []string{"CREATE USER a3@'%' IDENTIFIED WITH sha256_password BY '" + marked + "3'"}, user: "a3", password: marked + "3"},
	{name: "sha256_password without TLS", flavors: []mysqltest.Flavor{mysqltest.MySQL}, user: "a3", password: marked + "3", plainly: true},
	{name: "ed25519", flavors: []mysqltest.Flavor{mysqltest.MariaDB}, create: []string{"CREATE USER a4@'%' IDENTIFIED VIA ed25519 USING PASSWORD('" + marked + "4')"}, user: "a4", password: marked + "4", stays: true},
	{name: "ed25519 without TLS", flavors: []mysqltest.Flavor{mysqltest.MariaDB}, user: "a4", password: marked + "4", stays: true, plainly: true},
	{name: "ed25519 in users", flavors: []mysqltest.Flavor{mysqltest.MariaDB}, create: []string{"CREATE USER a5@'%' IDENTIFIED VIA ed25519 USING PASSWORD('" + configured + "')"}, user: "a5", password: configured},
	{name: "ed25519 or native, by the first", flavors: []mysqltest.Flavor{mysqltest.MariaDB}, create: []string{"CREATE USER a6@'%' IDENTIFIED VIA ed25519 USING PASSWORD('" + marked + "6e') OR mysql_native_password USING PASSWORD('" + marked + "6n')"}, user: "a6", password: marked + "6e", stays: true},
	{name: "ed25519 or native, by the second", flavors: []mysqltest.Flavor{mysqltest.MariaDB}, user: "a6", password: marked + "6n", better: true},
	{name: "unix_socket or native", flavors: []mysqltest.Flavor{mysqltest.MariaDB}, create: []string{"CREATE USER a7@'%' IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('" + marked + "7')"}, user: "a7", password: marked + "7"},
	{name: "unix_socket", flavors: []mysqltest.Flavor{mysqltest.MariaDB}, create: []string{"CREATE USER a8@'%' IDENTIFIED VIA unix_socket"}, user: "a8", refused: 1698},
	{name: "auth_socket", flavors: []mysqltest.Flavor{mysqltest.MySQL}, create: []string{"CREATE USER a8@'%' IDENTIFIED WITH auth_socket"}, user: "a8", refused: 1698},
	{name: "wrong password", user: "a1", password: marked + "wrong", refused: 1045},
	{name: "wrong password without TLS", user: "a1", password: marked + "wrong", refused: 1045, plainly: true},
	{name: "no password where one is wanted", user: "a1", refused: 1045},
	{name: "a password where none is wanted", create: []string{"CREATE USER a9@'%'"}, user: "a9", password: marked + "9", refused: 1045},
	{name: "empty password", user: "a9"},
	{name: "empty password without TLS", user: "a9", plainly: true},
	{name: "locked", create: []string{"CREATE USER b1@'%' IDENTIFIED BY '" + marked + "b1' ACCOUNT LOCK"}, user: "b1", password: marked + "b1", refused: locked},
	{name: "expired", create: []string{"CREATE USER b2@'%' IDENTIFIED BY '" + marked + "b2' PASSWORD EXPIRE"}, user: "b2", password: marked + "b2", refused: expired},
	{name: "REQUIRE SSL", create: []string{"CREATE USER b3@'%' IDENTIFIED BY '" + marked + "b3' REQUIRE SSL"}, user: "b3", password: marked + "b3"},
	{name: "REQUIRE X509", create: []string{"CREATE USER b4@'%' IDENTIFIED BY '" + marked + "b4' REQUIRE X509"}, user: "b4", password: marked + "b4", better: true},
	{name: "REQUIRE SUBJECT of another", create: []string{"CREATE USER b14@'%' IDENTIFIED BY '" + marked + "b14' REQUIRE SUBJECT '/CN=other'"}, user: "b14", password: marked + "b14", refused: 1045},
	{name: "other host", create: []string{"CREATE USER b5@'10.%' IDENTIFIED BY '" + marked + "b5'"}, user: "b5", password: marked + "b5", refused: 1045},
	{name: "two hosts", create: []string{"CREATE USER b6@'127.0.0.1' IDENTIFIED BY '" + marked + "b6'", "CREATE USER b6@'%' IDENTIFIED BY '" + marked + "other'"}, user: "b6", password: marked + "b6"},
	{name: "the less specific of two hosts", user: "b6", password: marked + "other", refused: 1045},
	{name: "unknown schema", user: "a1", password: marked + "1", schema: "nowhere", refused: 1044},
	{name: "unknown schema, all rights", create: []string{"CREATE USER b7@'%' IDENTIFIED BY '" + marked + "b7'", "GRANT SELECT ON *.* TO b7@'%'"}, user: "b7", password: marked + "b7", schema: "nowhere", refused: 1049},
	{name: "no rights on the schema", user: "a9", schema: "app", refused: 1044},
	{name: "default role", create: []string{"CREATE ROLE reader", "GRANT SELECT ON app.* TO reader", "CREATE USER b8@'%' IDENTIFIED BY '" + marked + "b8'", "GRANT reader TO b8@'%'", "SET DEFAULT ROLE reader FOR b8@'%'"}, user: "b8", password: marked + "b8", schema: "app"},
	{name: "quote in the name", create: []string{"CREATE USER `b'9\"é`@'%' IDENTIFIED BY '" + marked + "b9'"}, user: "b'9\"é", password: marked + "b9"},
	{name: "long password", create: []string{"CREATE USER b10@'%' IDENTIFIED BY '" + marked + strings.Repeat("x", 60) + "'"}, user: "b10", password: marked + strings.Repeat("x", 60)},
	{name: "dual password, the old one", flavors: []mysqltest.Flavor{mysqltest.MySQL}, create: []string{"CREATE USER b12@'%' IDENTIFIED BY '" + marked + "b12old'", "ALTER USER b12@'%' IDENTIFIED BY '" + marked + "b12new' RETAIN CURRENT PASSWORD"}, user: "b12", password: marked + "b12old"},
	{name: "dual password, the new one", flavors: []mysqltest.Flavor{mysqltest.MySQL}, user: "b12", password: marked + "b12new"},
}

func (a account) on(f mysqltest.Flavor) bool {
	if a.flavors == nil {
		return true
	}
	for _, g := range a.flavors {
		if g == f {
			return true
		}
	}
	return false
}

// pool is a pool of one connection of the account through addr.
func (a account) pool(t *testing.T, addr string) *sql.DB {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = a.user, a.password, "tcp", addr, a.schema
	c.TLSConfig, c.Timeout, c.ReadTimeout, c.Logger = "skip-verify", 10*time.Second, 20*time.Second, &mysql.NopLogger{}
	if a.plainly {
		c.TLSConfig = "false"
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// whoami is what a session is, as its server sees it.
func whoami(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (who string, err error) {
	err = q.QueryRowContext(ctx, "SELECT CONCAT_WS(' ', USER(), CURRENT_USER(), COALESCE(CURRENT_ROLE(), '-'), COALESCE(DATABASE(), '-'))").Scan(&who)
	return who, err
}

// lodge is a pair whose servers have certificates, with an onewriter before it that shows and wants some.
type lodge struct {
	*onewriter
	flavor  mysqltest.Flavor
	pair    *mysqltest.Pair
	ca      *certtest.Authority // signed everything
	clients *certtest.Authority // whom the strict listener trusts
}

func TestLogins(t *testing.T) {
	for _, f := range both {
		t.Run(f.String(), func(t *testing.T) {
			l := openLodge(t, f)
			t.Run("accounts", l.accounts)
			t.Run("certificates", l.certificates)
			t.Run("client certificates", l.clientCertificates)
			t.Run("secrets", l.secrets)
		})
	}
}

func openLodge(t *testing.T, f mysqltest.Flavor) *lodge {
	l := &lodge{flavor: f, ca: certtest.New(t), clients: certtest.New(t)}
	cert, key := l.ca.Issue("server")
	config := map[string]string{"ssl-ca": l.ca.File, "ssl-cert": cert, "ssl-key": key}
	if f == mysqltest.MySQL {
		config["plugin-load-add"] = "auth_socket.so"
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
		}
		code := a.refused
		if other, ok := mysqlCodes[code]; ok && l.flavor == mysqltest.MySQL {
			code = other
		}
		start := time.Now()
		want, wantErr := whoami(ctx, a.pool(t, l.pair.Servers[0].Addr()))
		direct := time.Since(start)
		start = time.Now()
		conn, err := a.pool(t, l.primary).Conn(ctx)
		var who string
		if err == nil {
			who, err = whoami(ctx, conn)
		}
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

// hangUp makes the program look at its files.
func (l *lodge) hangUp(t *testing.T) {
	t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// dial is a connection of the application with a TLS configuration of its own.
func dial(t *testing.T, addr string, config *tls.Config) (*sql.Conn, error) {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.TLS, c.Logger = mysqltest.AppUser, mysqltest.AppPassword, "tcp", addr, config, &mysql.NopLogger{}
	c.Timeout, c.ReadTimeout = 10*time.Second, 20*time.Second
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db.Conn(t.Context())
}

// leaf logs in and gives the certificate that was shown.
func (l *lodge) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	var leaf *x509.Certificate
	conn, err := dial(t, l.primary, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "127.0.0.1", VerifyConnection: func(state tls.ConnectionState) error {
		leaf = state.PeerCertificates[0]
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	return leaf
}

func (l *lodge) certificates(t *testing.T) {
	first := l.leaf(t)
	session, err := dial(t, l.primary, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := l.ca.Issue("onewriter", "127.0.0.1")
	l.hangUp(t)
	var second *x509.Certificate
	l.eventually(5*time.Second, "the new certificate is shown", func() error {
		if second = l.leaf(t); second.Equal(first) {
			return errors.New("it is the old one")
		}
		return nil
	})
	if err := os.WriteFile(certFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.hangUp(t)
	l.eventually(5*time.Second, "the broken certificate is noticed", func() error {
		if _, body := l.get("/metrics"); !strings.Contains(body, fmt.Sprintf("onewriter_certificate_unusable{file=%q} 1", certFile+"+"+keyFile)) {
			return errors.New("no metric says so")
		}
		return nil
	})
	if !strings.Contains(l.log.String(), "changed certificate is not usable") {
		t.Error("the log does not say so")
	}
	if now := l.leaf(t); !now.Equal(second) {
		t.Error("another certificate is shown")
	}
	l.ca.Issue("onewriter", "127.0.0.1") // the next test needs it
	l.hangUp(t)
	if _, err := whoami(t.Context(), session); err != nil {
		t.Errorf("the session that was open all the time: %v", err)
	}
	for name, config := range map[string]*tls.Config{
		"TLS 1.2 without server name": {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
		"TLS 1.3":                     {InsecureSkipVerify: true, MinVersion: tls.VersionTLS13},
		"a foreign server name":       {InsecureSkipVerify: true, ServerName: "db.example"},
		"ALPN":                        {InsecureSkipVerify: true, NextProtos: []string{"mysql"}},
	} {
		if _, err := dial(t, l.primary, config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := dial(t, l.primary, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is served")
	}
}

func (l *lodge) clientCertificates(t *testing.T) {
	other := certtest.New(t)
	with := func(a *certtest.Authority) *tls.Config {
		pair := a.Pair("client")
		return &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }}
	}
	if _, err := dial(t, l.strict, with(l.clients)); err != nil {
		t.Errorf("with a good certificate: %v", err)
	}
	if _, err := dial(t, l.strict, with(other)); err == nil {
		t.Error("a foreign certificate passes")
	}
	if _, err := dial(t, l.strict, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("no certificate passes")
	}
	_, err := dial(t, l.strict, nil)
	wantCode(t, err, 3159)
	text, err := os.ReadFile(other.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.clients.File, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l.hangUp(t)
	l.eventually(5*time.Second, "the new authority is trusted", func() error {
		_, err := dial(t, l.strict, with(other))
		return err
	})
	if _, err := dial(t, l.strict, with(l.clients)); err == nil {
		t.Error("a certificate of the authority before passes")
	}
}

// secrets looks for passwords and hashes wherever the program writes, and for those that it only passed on, in its memory.
func (l *lodge) secrets(t *testing.T) {
	written := map[string]string{"log": l.log.String()}
	for _, path := range []string{"/metrics", "/healthz", "/api/v1/clusters", "/api/v1/clusters/test", "/api/v1/clusters/test/history", "/api/v1/clusters/test/doctor", "/api/v1/clusters/test/sessions", "/api/v1/clusters/test/report"} {
		_, written[path] = l.get(path)
	}
	err := filepath.WalkDir(filepath.Join(l.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var text []byte
			text, err = os.ReadFile(path)
			written[path] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	printed, err := exec.Command(executable, "config", "print", l.config).CombinedOutput()
	if err != nil {
		t.Fatalf("config print: %v: %s", err, printed)
	}
	written["config print"] = string(printed)
	if !strings.Contains(written["log"], "Access denied for user 'a1'") || !strings.Contains(written["/metrics"], "onewriter_") || !strings.Contains(written["config print"], "a5") {
		t.Fatal("it does not write what is looked through")
	}
	words := append(l.hashes(t), marked, configured, mysqltest.AppPassword, mysqltest.ControlPassword, mysqltest.ReplicationPassword)
	for where, text := range written {
		for _, word := range words {
			for _, found := range find([]byte(text), word) {
				t.Errorf("%s has %q: %q", where, word, found)
			}
		}
	}
	dump := l.memory(t)
	if find(dump, configured) == nil {
		t.Fatal("what must be in memory is not found there")
	}
	for _, found := range find(dump, marked) {
		t.Errorf("memory has %q", found)
	}
	filter, err := os.ReadFile(fmt.Sprintf("/proc/%d/coredump_filter", l.cmd.Process.Pid))
	if err != nil || strings.TrimSpace(string(filter)) != "00000000" {
		t.Errorf("core dumps would have memory in them: %q, %v", filter, err)
	}
}

// hashes are the parts of what the servers keep of passwords that would show in text.
func (l *lodge) hashes(t *testing.T) (out []string) {
	t.Helper()
	rows, err := l.pair.Servers[0].DB().Query("SELECT authentication_string FROM mysql.user WHERE LENGTH(authentication_string) > 30")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var hash string
		if err := rows.Scan(&hash); err != nil {
			t.Fatal(err)
		}
		out = append(out, hash[len(hash)-24:])
	}
	if len(out) < 10 || rows.Err() != nil {
		t.Fatalf("%d hashes: %v", len(out), rows.Err())
	}
	return out
}

// memory is what the program has in its writable memory now.
func (l *lodge) memory(t *testing.T) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", l.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", l.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var all []byte
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		part := make([]byte, to-from)
		n, _ := mem.ReadAt(part, from) // not every mapping can be read
		all = append(all, part[:n]...)
	}
	if len(all) < 1<<20 {
		t.Fatalf("only %d bytes of memory could be read", len(all))
	}
	return all
}

// find gives what is around each occurrence of word.
func find(text []byte, word string) (found []string) {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(word))
		if i < 0 {
			return found
		}
		at += i
		found = append(found, string(text[max(0, at-60):min(len(text), at+60)]))
		at += len(word)
	}
}
