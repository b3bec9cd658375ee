package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/internal/certtest"
	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
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
	better   bool   // directly it is refused, or in fewer words
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
	{name: "unix_socket", flavors: []mysqltest.Flavor{mysqltest.MariaDB}, create: []string{"CREATE USER a8@'%' IDENTIFIED VIA unix_socket"}, user: "a8", refused: 1698, better: true},
	{name: "auth_socket", flavors: []mysqltest.Flavor{mysqltest.MySQL}, create: []string{"CREATE USER a8@'%' IDENTIFIED WITH auth_socket"}, user: "a8", refused: 1698, better: true},
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

// Last, because they change who the unknown users are.
func init() {
	accounts = append(accounts,
		account{name: "proxy user", flavors: []mysqltest.Flavor{mysqltest.MySQL}, create: []string{
			"SET GLOBAL check_proxy_users=1", "SET GLOBAL sha256_password_proxy_users=1", "CREATE USER c1@'%' IDENTIFIED WITH sha256_password BY '" + marked + "c1'",
			"CREATE USER c2@'%' IDENTIFIED BY '" + marked + "c2'", "GRANT SELECT ON app.* TO c2@'%'",
			"INSERT INTO mysql.proxies_priv (Host, User, Proxied_host, Proxied_user, With_grant, Grantor) VALUES ('%', 'c1', '%', 'c2', 0, '')", "FLUSH PRIVILEGES",
		}, user: "c1", password: marked + "c1", schema: "app"},
		account{name: "anonymous", create: []string{"CREATE USER ''@'%' IDENTIFIED BY '" + marked + "c3'"}, user: "whoever", password: marked + "c3"},
		account{name: "anonymous without TLS", user: "whoever", password: marked + "c3", plainly: true},
		account{name: "no name", password: marked + "c3"},
		account{name: "anonymous, wrong password", user: "whoever", password: marked + "c4", refused: 1045},
		account{name: "named, although there is an anonymous one", user: "a1", password: marked + "1", schema: "app"},
	)
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

// enter logs in and asks who it is. The driver takes the salt of ed25519 for shorter than it is when its last byte is 0.
func (a account) enter(ctx context.Context, t *testing.T, addr string) (conn *sql.Conn, who string, err error) {
	for tries := 0; tries == 0 || err != nil && a.stays && tries < 3; tries++ {
		if conn, err = a.pool(t, addr).Conn(ctx); err == nil {
			who, err = whoami(ctx, conn)
		}
	}
	return conn, who, err
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
	server  tls.Certificate     // of both servers
}

func TestLogins(t *testing.T) {
	for _, f := range both {
		t.Run(f.String(), func(t *testing.T) {
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

// hangUp makes the program look at its files.
func (l *lodge) hangUp(t *testing.T) {
	t.Helper()
	l.process.Signal(syscall.SIGHUP)
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
	out, err := exec.Command(executable, "config", "fingerprints", l.config).CombinedOutput()
	if err != nil || strings.Count(string(out), backend.FingerprintOf(l.server.Leaf).String()) != 1 || !strings.Contains(string(out), "CN=server") {
		t.Errorf("config fingerprints: %v\n%s", err, out)
	}
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
	if !strings.Contains(l.process.Output(), "changed certificate is not usable") {
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
	written := map[string]string{"log": l.process.Output()}
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
		if !tlsRecord.MatchString(found) {
			t.Errorf("memory has %q", found)
		}
	}
	filter, err := os.ReadFile(fmt.Sprintf("/proc/%d/coredump_filter", l.process.PID))
	if err != nil || strings.TrimSpace(string(filter)) != "00000000" {
		t.Errorf("core dumps would have memory in them: %q, %v", filter, err)
	}
}

// tlsRecord is the last thing that a client sent, in the buffer of the TLS library: it is overwritten by what comes next.
var tlsRecord = regexp.MustCompile(`\x17\x03\x03..[^\x00]\x00\x00.` + marked)

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
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", l.process.PID))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", l.process.PID))
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

// rawLogin logs in without a client library and without TLS; extra are capabilities beyond the usual. It gives the OK or
// the ERR.
func (l *lodge) rawLogin(t *testing.T, user, password string, extra wire.Capability) (*raw, []byte) {
	t.Helper()
	r, g := connectRaw(t, l.primary)
	response := wire.HandshakeResponse{
		Capabilities: (rawCapabilities | extra) &^ wire.ClientConnectWithDB & (g.Capabilities | wire.ClientMySQL), MaxPacket: 1 << 30, Charset: 45,
		User: user, Auth: scramble(g.AuthPlugin, password, r.salt), Plugin: g.AuthPlugin,
	}
	r.write(response.AppendTo(nil))
	return r, r.answer(password)
}

// wantErr checks that p is an ERR with the code.
func wantErr(t *testing.T, what string, p []byte, code uint16) {
	t.Helper()
	se, err := wire.ParseErr(p)
	if err != nil || se.Code != code {
		t.Errorf("%s: %q, want error %d", what, p, code)
	}
}

func (l *lodge) expiredPasswords(t *testing.T) {
	db := l.pair.Servers[0].DB()
	mustExec(t, db, "CREATE USER d1@'%' IDENTIFIED BY '"+marked+"d1' PASSWORD EXPIRE")
	mustExec(t, db, "GRANT SELECT ON app.* TO d1@'%'")
	if l.flavor == mysqltest.MariaDB {
		mustExec(t, db, "SET GLOBAL disconnect_on_expired_password=1")
		defer mustExec(t, db, "SET GLOBAL disconnect_on_expired_password=0")
	}
	_, p := l.rawLogin(t, "d1", marked+"d1", 0)
	wantErr(t, "a client that can't change it", p, 1862)
	r, p := l.rawLogin(t, "d1", marked+"d1", wire.ClientCanHandleExpiredPasswords)
	if p[0] != 0 {
		t.Fatalf("a client that can change it: %q", p)
	}
	r.send(append([]byte{wire.ComQuery}, "SELECT 1"...)...)
	wantErr(t, "a statement before it is changed", r.receive(), 1820)
	r.exec("SET PASSWORD = " + l.passwordValue(marked+"d1new"))
	if got := r.text("SELECT CURRENT_USER()"); len(got) != 1 || got[0] != "d1@%" {
		t.Errorf("after it was changed: %q", got)
	}
	r.exec("SET time_zone='+03:00'")
	r2, p := l.rawLogin(t, "d1", marked+"d1new", 0)
	if p[0] != 0 {
		t.Fatalf("with the new password: %q", p)
	}
	l.mustSwitch(`{"to":"b"}`)
	defer l.mustSwitch(`{"to":"a"}`)
	if got := r2.text("SELECT CURRENT_USER()"); len(got) != 1 || got[0] != "d1@%" {
		t.Errorf("with the new password, after a switchover: %q", got)
	}
	// The proxy knows only the password that the session has logged in with.
	r.send(append([]byte{wire.ComQuery}, "SELECT 1"...)...)
	wantErr(t, "the session of the old password after a switchover", r.receive(), 1053)
}

// passwordValue is what SET PASSWORD takes.
func (l *lodge) passwordValue(password string) string {
	if l.flavor == mysqltest.MariaDB {
		return "PASSWORD('" + password + "')"
	}
	return "'" + password + "'"
}

func (l *lodge) changedPasswords(t *testing.T) {
	db := l.pair.Servers[0].DB()
	mustExec(t, db, "CREATE USER d2@'%' IDENTIFIED BY '"+marked+"d2old'")
	old := account{user: "d2", password: marked + "d2old"}
	changed := account{user: "d2", password: marked + "d2new"}
	ctx := t.Context()
	before, err := old.pool(t, l.primary).Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, "ALTER USER d2@'%' IDENTIFIED BY '"+marked+"d2new'")
	if _, err := whoami(ctx, before); err != nil {
		t.Errorf("a session that was open when the password was changed: %v", err)
	}
	_, err = whoami(ctx, old.pool(t, l.primary))
	wantCode(t, err, 1045)
	after, err := changed.pool(t, l.primary).Conn(ctx)
	if err != nil {
		t.Fatalf("with the new password: %v", err)
	}
	plain := changed
	plain.plainly = true
	if _, err := whoami(ctx, plain.pool(t, l.primary)); err != nil {
		t.Errorf("with the new password, without TLS: %v", err)
	}
	l.mustSwitch(`{"to":"b"}`)
	defer l.mustSwitch(`{"to":"a"}`)
	if _, err := whoami(ctx, after); err != nil {
		t.Errorf("the session of the new password: %v", err)
	}
	if _, err = whoami(ctx, before); err == nil || !strings.Contains(err.Error(), "onewriter: session ended") {
		t.Errorf("the session of the old password: %v", err)
	}
	if _, err := whoami(ctx, changed.pool(t, l.primary)); err != nil {
		t.Errorf("with the new password at the other server: %v", err)
	}
}

func (l *lodge) changesOfUser(t *testing.T) {
	type target struct {
		account
		moves bool
	}
	targets := []target{
		{account{user: "a1", password: marked + "1"}, true},
		{account{user: "a9"}, true},
		{account{user: "b6", password: marked + "b6"}, true},
	}
	if l.flavor == mysqltest.MariaDB {
		targets = append(targets, target{account{user: "a4", password: marked + "4"}, false}, target{account{user: "a5", password: configured}, true},
			target{account{user: "a6", password: marked + "6e"}, false})
	} else {
		targets = append(targets, target{account{user: "a3", password: marked + "3"}, true}, target{account{user: "b12", password: marked + "b12old"}, true},
			target{account{user: "b12", password: marked + "b12new"}, true})
	}
	type session struct {
		target
		*raw
	}
	var sessions []session
	for _, x := range targets {
		r, p := l.rawLogin(t, mysqltest.AppUser, mysqltest.AppPassword, 0)
		if p[0] != 0 {
			t.Fatalf("login: %q", p)
		}
		r.exec("SET @x = 1")
		r.changeUser(x.user)
		if p := r.answer(x.password); p[0] != 0 {
			t.Errorf("change to %s: %q", x.user, p)
			continue
		}
		if got := r.text("SELECT CONCAT(CURRENT_USER(), COALESCE(@x, ''))"); len(got) != 1 || !strings.HasPrefix(got[0], x.user+"@") || strings.HasSuffix(got[0], "1") && x.user != "b6" {
			t.Errorf("after the change to %s: %q", x.user, got)
		}
		sessions = append(sessions, session{x, r})
	}
	r, _ := l.rawLogin(t, mysqltest.AppUser, mysqltest.AppPassword, 0)
	r.changeUser("a1")
	wantErr(t, "change with a wrong password", r.answer(marked+"wrong"), 1045)
	l.mustSwitch(`{"to":"b"}`)
	defer l.mustSwitch(`{"to":"a"}`)
	for _, s := range sessions {
		if !s.moves {
			continue
		}
		if got := s.text("SELECT CURRENT_USER()"); len(got) != 1 || !strings.HasPrefix(got[0], s.user+"@") {
			t.Errorf("%s after the switchover: %q", s.user, got)
		}
	}
}

// changeUser sends a change of user with no answer to any plugin yet.
func (r *raw) changeUser(user string) {
	r.t.Helper()
	r.send(wire.ChangeUser{User: user, Charset: 45, Plugin: "mysql_native_password"}.AppendTo(nil, rawCapabilities)...)
}

func (l *lodge) limits(t *testing.T) {
	server := l.pair.Servers[0]
	db := server.DB()
	mustExec(t, db, "CREATE USER e1@'%' IDENTIFIED BY '"+marked+"e1' "+"WITH MAX_USER_CONNECTIONS 1")
	mustExec(t, db, "CREATE USER e2@'%' IDENTIFIED BY '"+marked+"e2' "+"WITH MAX_CONNECTIONS_PER_HOUR 1")
	mustExec(t, db, "CREATE USER e3@'%' IDENTIFIED BY '"+marked+"e3'")
	for name, addr := range map[string]string{"directly": server.Addr(), "proxied": l.primary} {
		one := account{user: "e1", password: marked + "e1"}
		first, err := one.pool(t, addr).Conn(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = whoami(t.Context(), one.pool(t, addr))
		wantCode(t, err, 1226)
		_ = first.Raw(func(any) error { return driver.ErrBadConn }) // closes it
		mustExec(t, db, "FLUSH USER_RESOURCES")
		hourly := account{user: "e2", password: marked + "e2"}
		if _, err := whoami(t.Context(), hourly.pool(t, addr)); err != nil {
			t.Errorf("%s: the first of an hour: %v", name, err)
		}
		_, err = whoami(t.Context(), hourly.pool(t, addr))
		wantCode(t, err, 1226)
	}
}

// fullServer compares what clients are told when the server has no room.
func (l *lodge) fullServer(t *testing.T) {
	server := l.pair.Servers[0]
	mustExec(t, server.DB(), "CREATE USER e4@'%' IDENTIFIED BY '"+marked+"e4'")
	one := account{user: "e4", password: marked + "e4"}
	for range 12 { // MariaDB has room for ten at least
		if _, err := one.pool(t, server.Addr()).Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	root, err := server.DB().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	limit := func(n string) {
		t.Helper()
		if _, err := root.ExecContext(t.Context(), "SET GLOBAL max_connections="+n); err != nil {
			t.Fatal(err)
		}
	}
	limit("10")
	defer limit("500")
	_, want := whoami(t.Context(), one.pool(t, server.Addr()))
	wantCode(t, want, 1040)
	_, err = whoami(t.Context(), one.pool(t, l.primary))
	wantCode(t, err, 1040) // with an SQLSTATE when the client was greeted by then
	if !strings.HasSuffix(fmt.Sprint(err), "Too many connections") {
		t.Errorf("proxied: %v, directly: %v", err, want)
	}
}

// coldCaches is caching_sha2_password without TLS and without leave to fetch a key: it works once somebody has told the
// password, as at a server.
func (l *lodge) coldCaches(t *testing.T) {
	mustExec(t, l.pair.Servers[0].DB(), "CREATE USER f1@'%' IDENTIFIED BY '"+marked+"f1'")
	mustExec(t, l.pair.Servers[0].DB(), "GRANT SELECT ON app.* TO f1@'%'")
	for _, addr := range []string{l.pair.Servers[0].Addr(), l.primary} {
		args := cli(t, l.flavor, addr, "-uf1", "-p"+marked+"f1", "--ssl-mode=DISABLED", "-e", "SELECT 1")
		try := func() string {
			out, _ := exec.Command(args[0], args[1:]...).CombinedOutput()
			return string(out)
		}
		if out := try(); !strings.Contains(out, "ERROR 2061") {
			t.Errorf("at %s, cold: %s", addr, out)
		}
		if _, err := whoami(t.Context(), account{user: "f1", password: marked + "f1"}.pool(t, addr)); err != nil {
			t.Fatal(err)
		}
		if out := try(); strings.Contains(out, "ERROR") {
			t.Errorf("at %s, warm: %s", addr, out)
		}
	}
	mustExec(t, l.pair.Servers[0].DB(), "FLUSH PRIVILEGES") // the server forgets, the proxy does not
	if _, p := l.rawLogin(t, "f1", marked+"f1", 0); p[0] != 0 {
		t.Errorf("at a server that has forgotten it: %q", p)
	}
}
