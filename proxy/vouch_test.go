package proxy

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
)

// TestLoginVouchesForTheCertificate computes what a client of MariaDB 11.4 wants to see in the OK of its login.
func TestLoginVouchesForTheCertificate(t *testing.T) {
	for version, wanted := range map[string]bool{
		"11.4.1-MariaDB": true, "5.5.5-11.8.2-MariaDB-log": true, "12.0.1-MariaDB": true,
		"11.4.0-MariaDB": false, "10.11.19-MariaDB": false, "11.4.2": false, "8.0.99-scripted": false,
	} {
		t.Run(version, func(t *testing.T) {
			keys, err := testKeys()
			if err != nil {
				t.Fatal(err)
			}
			bed := newTestbed(t, func(c *Config) { c.Listeners[0].TLS = keys.ServerTLS() })
			bed.a.Pose(version)
			bed.b.Pose(version)
			bed.eventually("the version is known", func() bool {
				g, ok := bed.cluster.lastGreeting("a")
				return ok && g.Version == version || bed.greetedAs(version)
			})
			info, salt, certificate := bed.tlsLogin()
			if !wanted {
				if len(info) > 0 {
					t.Fatalf("the OK has the text %q", info)
				}
				return
			}
			stage1 := sha1.Sum([]byte("secret"))
			stage2 := sha1.Sum(stage1[:])
			print := sha256.Sum256(certificate)
			sum := sha256.Sum256(append(append(stage2[:], salt...), print[:]...))
			if want := "\x01" + hex.EncodeToString(sum[:]); string(info) != want {
				t.Errorf("the OK has the text %q, want %q", info, want)
			}
		})
	}
}

// greetedAs connects and reports whether the greeting has the version.
func (b *testbed) greetedAs(version string) bool {
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	payload, err := wire.NewPacketConn(conn).ReadPacket()
	if err != nil {
		return false
	}
	g, err := wire.ParseGreeting(payload)
	return err == nil && g.Version == version
}

// tlsLogin logs in as user app over TLS and gives the text of the OK, the salt and the certificate.
func (b *testbed) tlsLogin() (info, salt, certificate []byte) {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	pc := wire.NewPacketConn(conn)
	greeting, err := pc.ReadPacket()
	if err != nil {
		b.t.Fatal(err)
	}
	g, err := wire.ParseGreeting(greeting)
	if err != nil {
		b.t.Fatal(err)
	}
	r := wire.HandshakeResponse{
		Capabilities: wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientSSL,
		Charset:      45, User: "app", Auth: nativeAnswer("secret", g.Salt[:]), Plugin: "mysql_native_password",
	}
	if err := pc.WritePacket(wire.AppendSSLRequest(nil, r)); err != nil {
		b.t.Fatal(err)
	}
	if err := pc.UpgradeClient(context.Background(), &tls.Config{InsecureSkipVerify: true}); err != nil {
		b.t.Fatal(err)
	}
	if err := pc.WritePacket(r.AppendTo(nil)); err != nil {
		b.t.Fatal(err)
	}
	payload, err := pc.ReadPacket()
	if err != nil {
		b.t.Fatal(err)
	}
	ok, err := wire.ParseOK(payload)
	if err != nil || payload[0] != wire.HeaderOK {
		b.t.Fatalf("login: %q, %v", payload, err)
	}
	return ok.Info, g.Salt[:], pc.Conn().(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
}

// nativeAnswer is the answer of mysql_native_password.
func nativeAnswer(password string, salt []byte) []byte {
	stage1 := sha1.Sum([]byte(password))
	stage2 := sha1.Sum(stage1[:])
	mix := sha1.Sum(append(append([]byte{}, salt...), stage2[:]...))
	for i := range mix {
		mix[i] ^= stage1[i]
	}
	return mix[:]
}
