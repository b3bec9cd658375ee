package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var testSalt = [SaltLen]byte([]byte("abcdefghijklmnopqrst"))

func TestGreetingRoundTrip(t *testing.T) {
	for _, g := range []Greeting{
		{Version: "9.7.4", ConnID: 7, Salt: testSalt, Capabilities: 0xdfffffff, Charset: 255, Status: StatusAutocommit, AuthPlugin: "caching_sha2_password"},
		{Version: "11.4.2-MariaDB", ConnID: 1 << 31, Salt: testSalt, Capabilities: 0x1d81fffffe, Charset: 45, AuthPlugin: "mysql_native_password"},
		{Version: "5.1", Salt: testSalt, Capabilities: ClientMySQL | ClientProtocol41 | ClientSecureConnection},
	} {
		got, err := ParseGreeting(g.AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(g, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestGreetingOfAMySQLServerHasNoExtendedFlags(t *testing.T) {
	g := Greeting{Salt: testSalt, Capabilities: 0x1ddfffffff, AuthPlugin: "caching_sha2_password"}
	got, err := ParseGreeting(g.AppendTo(nil))
	if err != nil || got.Capabilities != 0xdfffffff {
		t.Fatalf("got %x, %v", got.Capabilities, err)
	}
}

func TestGreetingRefused(t *testing.T) {
	_, err := ParseGreeting(AppendErr(nil, 1040, "", "Too many connections"))
	var refused *ServerError
	if !errors.As(err, &refused) || refused.Code != 1040 || refused.State != "" || refused.Message != "Too many connections" {
		t.Fatalf("got %v", err)
	}
}

func TestHandshakeResponseRoundTrip(t *testing.T) {
	base := ClientMySQL | ClientProtocol41
	full := base | ClientSecureConnection | ClientPluginAuth | ClientConnectAttrs | ClientConnectWithDB
	for name, r := range map[string]HandshakeResponse{
		"lenenc": {
			Capabilities: full | ClientPluginAuthLenEncClientData | ClientZstd, MaxPacket: 1 << 24, Charset: 45, User: "u",
			Auth: bytes.Repeat([]byte{1}, 300), Database: "d", Plugin: "p", Attrs: []byte("\x01a\x01b"), ZstdLevel: 3,
		},
		"byte length":  {Capabilities: full, User: "u", Auth: []byte{1, 2}, Database: "d", Plugin: "p", Attrs: []byte{}},
		"old":          {Capabilities: base, User: "u", Auth: []byte("x")},
		"mariadb bits": {Capabilities: ClientProtocol41 | ClientSecureConnection | 0x1d<<32, User: "u", Auth: []byte{9}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseHandshakeResponse(r.AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHandshakeResponseMayEndEarly(t *testing.T) {
	caps := ClientMySQL | ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientConnectAttrs | ClientConnectWithDB
	whole := HandshakeResponse{Capabilities: caps &^ (ClientPluginAuth | ClientConnectAttrs), User: "u", Database: "db"}.AppendTo(nil)
	whole[2], whole[3] = byte(caps>>16), byte(caps>>24)
	got, err := ParseHandshakeResponse(whole[:len(whole)-1])
	if err != nil || got.Database != "db" || got.Plugin != "" {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestHandshakeResponseBounds(t *testing.T) {
	caps := ClientMySQL | ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientPluginAuthLenEncClientData | ClientConnectAttrs | ClientConnectWithDB
	for name, r := range map[string]HandshakeResponse{
		"user":     {User: strings.Repeat("u", maxUserLen+1)},
		"database": {Database: strings.Repeat("d", maxDBLen+1)},
		"plugin":   {Plugin: strings.Repeat("p", maxPluginLen+1)},
		"auth":     {Auth: make([]byte, maxAuthLen+1)},
		"attrs":    {Attrs: make([]byte, MaxAttrsLen+1)},
	} {
		r.Capabilities = caps
		if _, err := ParseHandshakeResponse(r.AppendTo(nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSSLRequest(t *testing.T) {
	r := HandshakeResponse{Capabilities: ClientProtocol41 | ClientMySQL, MaxPacket: 1 << 24, Charset: 33, User: "u"}
	if p := AppendSSLRequest(nil, r); !IsSSLRequest(p) {
		t.Fatalf("%x is none", p)
	}
	if IsSSLRequest(r.AppendTo(nil)) {
		t.Fatal("a response is taken for a request")
	}
	if IsSSLRequest(nil) {
		t.Fatal("nothing is taken for a request")
	}
}

func TestAuthSwitchRoundTrip(t *testing.T) {
	a := AuthSwitch{Plugin: "caching_sha2_password", Data: append(testSalt[:], 0)}
	got, err := ParseAuthSwitch(a.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got); diff != "" {
		t.Error(diff)
	}
	if old, err := ParseAuthSwitch([]byte{0xfe}); err != nil || old.Plugin != "mysql_old_password" {
		t.Errorf("got %+v, %v", old, err)
	}
}

func TestErrRoundTrip(t *testing.T) {
	e := NewServerError(1045, "28000", "Access denied for user 'u'@'h' (using password: YES)")
	got, err := ParseErr(e.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Error(diff)
	}
	if want := "ERROR 1045 (28000): Access denied for user 'u'@'h' (using password: YES)"; got.Error() != want {
		t.Errorf("got %q", got.Error())
	}
}

func TestChangeUserRoundTrip(t *testing.T) {
	caps := ClientSecureConnection | ClientPluginAuth | ClientConnectAttrs
	u := ChangeUser{User: "u", Auth: []byte{1, 0, 2}, Database: "d", Charset: 255, Plugin: "p", Attrs: []byte("\x01a\x01b")}
	got, err := ParseChangeUser(u.AppendTo(nil, caps), caps)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u, got); diff != "" {
		t.Error(diff)
	}
	// Clients of 4.1 end after the database.
	short := append([]byte{ComChangeUser}, "u\x00\x00d\x00"...)
	if got, err = ParseChangeUser(short, caps); err != nil || got.User != "u" || got.Database != "d" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNegotiate(t *testing.T) {
	const mysql, maria = Capability(0xdfffffff), Capability(0x1f81fffffe)
	for name, c := range map[string]struct{ got, want Capability }{
		"offer mysql":        {Offerable(mysql, mysql), mysql &^ perHop},
		"offer mariadb":      {Offerable(maria), maria &^ (perHop | MariaDBComMulti)},
		"offer mixed":        {Offerable(maria, mysql) & extendedMask, 0},
		"offer none":         {Offerable(), 0},
		"extended":           {Negotiate(maria, maria), maria},
		"client is mysql":    {Negotiate(maria|ClientMySQL, maria), maria & classicMask},
		"server is mysql":    {Negotiate(maria, maria|ClientMySQL), maria & classicMask},
		"tracking is added":  {ForServer(ClientProtocol41, mysql) & ClientSessionTrack, ClientSessionTrack},
		"no compression":     {ForServer(ClientCompress|ClientZstd|ClientSSL, mysql) & perHop, 0},
		"never a mysql flag": {ForServer(maria|ClientMySQL, maria) & (ClientMySQL | extendedMask), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %x, want %x", name, uint64(c.got), uint64(c.want))
		}
	}
}

func TestLenEnc(t *testing.T) {
	for _, v := range []uint64{0, 250, 251, 0xffff, 0x10000, 0xffffff, 0x1000000, 1<<64 - 1} {
		b := AppendLenEnc(nil, v)
		got, n, ok := ReadLenEnc(b)
		if !ok || n != len(b) || got != v {
			t.Errorf("%d: got %d from %d bytes of %x", v, got, n, b)
		}
		for i := range b {
			if _, _, ok := ReadLenEnc(b[:i]); ok {
				t.Errorf("%d: %x is accepted", v, b[:i])
			}
		}
	}
	for _, text := range []string{"fb", "ff", "feffffffffffffffff61", "0261"} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if s, _, ok := ReadLenEncBytes(b); ok {
			t.Errorf("%s gives %q", text, s)
		}
	}
}
