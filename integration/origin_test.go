package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/proxyproto"
	"github.com/onewriter/onewriter/internal/wire"
)

// behind connects through a load balancer that says where the client comes from.
func behind(t *testing.T, addr, user, password, from string, v proxyproto.Version, params string) *sql.DB {
	t.Helper()
	network := "lb-" + strings.NewReplacer("/", "-", ".", "-", ":", "-").Replace(t.Name()+from+v.String())
	mysql.RegisterDialContext(network, func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil && from != "" {
			h := proxyproto.Header{Source: netip.MustParseAddrPort(from), Destination: netip.MustParseAddrPort("127.0.0.1:3306")}
			_, err = conn.Write(h.Append(nil, v))
		}
		return conn, err
	})
	db, err := sql.Open("mysql", user+":"+password+"@"+network+"("+addr+")/app?"+params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestOrigin is about where clients come from: what load balancers say before Onewriter, and what the servers are told.
func TestOrigin(t *testing.T) {
	for _, f := range bothFlavors {
		t.Run(f.String(), func(t *testing.T) {
			mysqltest.RequireFlavor(t, f)
			options := map[string]string{"performance_schema": "ON"}
			extra := "    failover: {mode: manual, drain_timeout: 300ms}\n"
			if f == mysqltest.MariaDB {
				options["proxy-protocol-networks"] = "127.0.0.1"
				extra += "    server_proxy_protocol: v2\n"
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			pair, err := mysqltest.StartPair(ctx, mysqltest.PairOptions{Flavor: f, Fast: true, Config: options})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = pair.Close() })
			root := pair.Servers[0].DB()
			for _, q := range []string{
				"CREATE USER near@'127.0.0.%' IDENTIFIED BY 'near-secret'", "CREATE USER far@'192.0.2.7' IDENTIFIED BY 'far-secret'",
				"GRANT ALL ON app.* TO near@'127.0.0.%'", "GRANT ALL ON app.* TO far@'192.0.2.7'",
			} {
				mustExec(t, root, q)
			}
			o := configure(t, extra, pair.Servers[0].Addr(), pair.Servers[1].Addr())
			edit(t, o.config, "route: primary}", "route: primary, proxy_protocol: {networks: [127.0.0.1], required: false, timeout: 1s}}")
			edit(t, o.config, "fallback: error}", "fallback: error, proxy_protocol: {networks: [127.0.0.1, '::1'], timeout: 1s}}")
			o.start()
			o.ready()
			p := originTest{f, pair, o}
			t.Run("header", p.header)
			t.Run("attributes", p.attributes)
			t.Run("no header", p.noHeader)
			t.Run("not asked for", p.notAskedFor)
			t.Run("server is told", p.serverIsTold)
		})
	}
}

func edit(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(text), from) {
		err = fmt.Errorf("%q is not in %s", from, file)
	}
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

type originTest struct {
	f    mysqltest.Flavor
	pair *mysqltest.Pair
	o    *onewriter
}

// seen is the client that Onewriter shows for the only session of a user.
func (p originTest) seen(t *testing.T, user string) string {
	t.Helper()
	out := p.o.run(0, []string{"sessions"})
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Fields(line); len(f) > 3 && f[1] == user {
			return f[2]
		}
	}
	t.Fatalf("no session of %s:\n%s", user, out)
	return ""
}

func (p originTest) header(t *testing.T) {
	for _, addr := range []string{p.o.primary, p.o.strict} {
		for i, v := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
			for _, from := range []string{fmt.Sprintf("127.0.0.%d:4711", 2+i), fmt.Sprintf("127.0.0.%d:4712", 4+i)} {
				db := behind(t, addr, "near", "near-secret", from, v, "")
				conn := pinnedConn(t, db)
				if got := p.seen(t, "near"); got != from {
					t.Errorf("%s: the session comes from %s, want %s", v, got, from)
				}
				_, _ = conn.Close(), db.Close()
				p.o.eventually(10*time.Second, "the session is gone", func() error {
					if out := p.o.run(0, []string{"sessions"}); strings.Contains(out, from) {
						return fmt.Errorf("%s", out)
					}
					return nil
				})
			}
		}
	}
	// The balancer's own checks, and clients without an address.
	for _, head := range []string{"PROXY UNKNOWN\r\n", string(proxyproto.Header{}.Append(nil, proxyproto.V2))} {
		conn, err := net.Dial("tcp", p.o.strict)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, head)
		payload, err := wire.NewPacketConn(conn).ReadPacket()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.ParseGreeting(payload); err != nil {
			t.Errorf("%q: %v", head, err)
		}
		_ = conn.Close()
	}
}

// attributesOf are the connection attributes that the server has of a connection.
func attributesOf(t *testing.T, conn *sql.Conn) map[string]string {
	t.Helper()
	return query2(t, conn, "SELECT ATTR_NAME, ATTR_VALUE FROM performance_schema.session_account_connect_attrs WHERE PROCESSLIST_ID = CONNECTION_ID()")
}

func (p originTest) attributes(t *testing.T) {
	db := behind(t, p.o.primary, "near", "near-secret", "127.0.0.2:4711", proxyproto.V2, "connectionAttributes=program_name:shop,_proxy_client_ip:192.0.2.99")
	conn := pinnedConn(t, db)
	want := func(when, ip, port string) {
		t.Helper()
		got := attributesOf(t, conn)
		if got["program_name"] != "shop" || got["_proxy_client_ip"] != ip || got["_proxy_client_port"] != port || got["_proxy_name"] != "onewriter" || got["_proxy_version"] == "" {
			t.Errorf("%s: %v", when, got)
		}
	}
	want("after the login", "127.0.0.2", "4711")
	p.o.mustSwitch("{}")
	want("after a move", "127.0.0.2", "4711")
	p.o.mustSwitch("{}")
	// A client that sends no attributes, and then changes its user with some.
	r := loginRaw(t, p.o.primary, "near", "near-secret")
	own := "SELECT GROUP_CONCAT(ATTR_NAME ORDER BY 1) FROM performance_schema.session_account_connect_attrs WHERE PROCESSLIST_ID = CONNECTION_ID()"
	if got := r.text(own)[0]; got != "_proxy_client_ip,_proxy_client_port,_proxy_name,_proxy_version" {
		t.Errorf("of a client without attributes there are %s", got)
	}
	r.send(wire.ChangeUser{User: "near", Database: "app", Charset: 45, Plugin: "mysql_native_password"}.AppendTo(nil, rawCapabilities)...)
	r.prove("near-secret")
	if got := r.text(own)[0]; got != "_proxy_client_ip,_proxy_client_port,_proxy_name,_proxy_version" {
		t.Errorf("after a change of user there are %s", got)
	}
}

// noHeader connects from the balancer's network without one.
func (p originTest) noHeader(t *testing.T) {
	conn := pinnedConn(t, behind(t, p.o.primary, "near", "near-secret", "", proxyproto.Off, ""))
	if got := p.seen(t, "near"); !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("the session comes from %s", got)
	}
	_ = conn.Close()
	err := behind(t, p.o.strict, "near", "near-secret", "", proxyproto.Off, "").Ping()
	wantCode(t, err, 1043)
	for _, garbage := range []string{"PROXY TCP4 nonsense\r\n", "GET / HTTP/1.1\r\n\r\n"} {
		c, err := net.Dial("tcp", p.o.strict)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, garbage)
		if payload, err := wire.NewPacketConn(c).ReadPacket(); err == nil && !wire.IsErr(payload) {
			t.Errorf("%q is answered with %q", garbage, payload)
		}
		_ = c.Close()
	}
}

// notAskedFor sends a header where none is expected.
func (p originTest) notAskedFor(t *testing.T) {
	for _, v := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
		err := behind(t, p.o.standby, "near", "near-secret", "127.0.0.9:1", v, "").Ping()
		wantCode(t, err, 1043)
		if err != nil && !strings.Contains(err.Error(), "proxy_protocol.networks") {
			t.Errorf("%s: %v", v, err)
		}
	}
}

// serverIsTold looks at the clients as the server sees them.
func (p originTest) serverIsTold(t *testing.T) {
	far := behind(t, p.o.primary, "far", "far-secret", "192.0.2.7:4711", proxyproto.V2, "")
	if p.f == mysqltest.MySQL {
		wantCode(t, far.Ping(), 1045) // the account is for another host than Onewriter's
		return
	}
	conn := pinnedConn(t, far)
	host := func(when string, want ...string) {
		t.Helper()
		var user, from string
		if err := conn.QueryRowContext(t.Context(), "SELECT CURRENT_USER(), (SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID())").Scan(&user, &from); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if got := []string{user, from}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	host("after the login", "far@192.0.2.7", "192.0.2.7:4711")
	p.o.mustSwitch("{}")
	host("after a move", "far@192.0.2.7", "192.0.2.7:4711")
	// Another client on a connection that was greeted for somebody else.
	for range 5 {
		c, _ := connectRaw(t, p.o.standby)
		_ = c.conn.Close()
	}
	wantCode(t, behind(t, p.o.primary, "far", "far-secret", "192.0.2.8:4711", proxyproto.V2, "").Ping(), 1045)
	// A kill across servers has the rights of the client's account.
	killer := behind(t, p.o.strict, "far", "far-secret", "192.0.2.7:4713", proxyproto.V1, "")
	for range 20 {
		v := behindRaw(t, p.o.primary, "far", "far-secret", "192.0.2.7:4712")
		_, err := killer.ExecContext(t.Context(), fmt.Sprintf("KILL %d", v.id))
		if me := (*mysql.MySQLError)(nil); errors.As(err, &me) && me.Number == 1094 {
			continue // the killer's server has a connection with this id, too
		}
		if err != nil {
			t.Fatal(err)
		}
		v.hungUp()
		return
	}
	t.Error("all ids are ambiguous")
}

// behindRaw is a raw connection through a load balancer.
func behindRaw(t *testing.T, addr, user, password, from string) victim {
	t.Helper()
	h := proxyproto.Header{Source: netip.MustParseAddrPort(from), Destination: netip.MustParseAddrPort("127.0.0.1:3306")}
	return victim{loginRawAfter(t, addr, user, password, h.Append(nil, proxyproto.V1))}
}
