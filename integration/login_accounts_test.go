package integration

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
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
