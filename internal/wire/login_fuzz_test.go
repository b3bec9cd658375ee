package wire

import (
	"errors"
	"reflect"
	"testing"
)

// check says that a parser's error is one of the typed ones.
func check(t *testing.T, err error) {
	t.Helper()
	var refused *ServerError
	if err != nil && !errors.Is(err, ErrMalformed) && !errors.As(err, &refused) {
		t.Fatalf("untyped error %v", err)
	}
}

func FuzzParseGreeting(f *testing.F) {
	f.Add(Greeting{Version: "9.7.4", Salt: testSalt, Capabilities: 0xdfffffff, AuthPlugin: "caching_sha2_password"}.AppendTo(nil))
	f.Add(Greeting{Version: "x-MariaDB", Salt: testSalt, Capabilities: 0x1d81fffffe, AuthPlugin: "mysql_native_password"}.AppendTo(nil))
	f.Add(AppendErr(nil, 1040, "", "Too many connections"))
	addLogins(f, false, func(payload []byte) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		g, err := ParseGreeting(payload)
		check(t, err)
		if err != nil {
			return
		}
		again, err := ParseGreeting(g.AppendTo(nil))
		if err != nil || again != g {
			t.Fatalf("%+v became %+v, %v", g, again, err)
		}
	})
}

func FuzzParseHandshakeResponse(f *testing.F) {
	f.Add(HandshakeResponse{Capabilities: 0xdfffffff, User: "u", Auth: []byte{1}, Database: "d", Plugin: "p"}.AppendTo(nil))
	f.Add(HandshakeResponse{Capabilities: ClientProtocol41, User: "u", Auth: []byte{1}}.AppendTo(nil))
	addLogins(f, true, func(payload []byte) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := ParseHandshakeResponse(payload)
		check(t, err)
		if err != nil {
			return
		}
		again, err := ParseHandshakeResponse(r.AppendTo(nil))
		if err != nil || again.User != r.User || string(again.Auth) != string(r.Auth) || again.Database != r.Database || again.Plugin != r.Plugin {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzParseAuthSwitch(f *testing.F) {
	f.Add(AuthSwitch{Plugin: "p", Data: []byte("data")}.AppendTo(nil))
	f.Add([]byte{0xfe})
	addLogins(f, false, func(payload []byte) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, err := ParseAuthSwitch(payload)
		check(t, err)
		if err != nil {
			return
		}
		again, err := ParseAuthSwitch(a.AppendTo(nil))
		if err != nil || again.Plugin != a.Plugin || string(again.Data) != string(a.Data) {
			t.Fatalf("%+v became %+v, %v", a, again, err)
		}
	})
}

func FuzzParseErr(f *testing.F) {
	f.Add(AppendErr(nil, 1045, "28000", "no"))
	addLogins(f, false, func(payload []byte) { f.Add(payload) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := ParseErr(payload)
		check(t, err)
		if err == nil && len(e.Raw) != len(payload) {
			t.Fatalf("%x became %x", payload, e.Raw)
		}
	})
}

func FuzzParseChangeUser(f *testing.F) {
	caps := ClientSecureConnection | ClientPluginAuth | ClientConnectAttrs
	f.Add(ChangeUser{User: "u", Auth: []byte{1}, Plugin: "p"}.AppendTo(nil, caps), uint64(caps))
	commands(f, func(_ byte, sent, _ []byte) {
		if sent[HeaderSize] == ComChangeUser {
			f.Add(sent[HeaderSize:], uint64(caps))
		}
	})
	f.Fuzz(func(t *testing.T, payload []byte, caps uint64) {
		u, err := ParseChangeUser(payload, Capability(caps))
		check(t, err)
		if err != nil {
			return
		}
		again, err := ParseChangeUser(u.AppendTo(nil, Capability(caps)), Capability(caps))
		if err != nil || len(again.Attrs) != len(u.Attrs) {
			t.Fatalf("%+v became %+v, %v", u, again, err)
		}
		again.Attrs, u.Attrs = nil, nil
		if again.Auth = append([]byte{}, again.Auth...); !reflect.DeepEqual(again.Auth, append([]byte{}, u.Auth...)) {
			t.Fatalf("%+v became %+v", u, again)
		}
	})
}

func FuzzReadLenEncBytes(f *testing.F) {
	f.Add([]byte("\x03abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, n, ok := ReadLenEncBytes(b)
		if ok && (n > len(b) || len(s) > n) {
			t.Fatalf("%d bytes read of %d", n, len(b))
		}
	})
}
