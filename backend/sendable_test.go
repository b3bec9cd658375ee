package backend

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/wire"
)

// A password travels as it is only where nobody can listen: on no hop less safely than the client believes.
func TestSendable(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	plain, secure := wire.NewPacketConn(a), wire.NewPacketConn(tls.Client(b, &tls.Config{MinVersion: tls.VersionTLS13}))
	switchTo := func(plugin string) []byte {
		return wire.AuthSwitch{Plugin: plugin, Data: make([]byte, 21)}.AppendTo(nil)
	}
	next := func(plugin string) []byte {
		p := switchTo(plugin)
		p[0] = wire.HeaderAuthNextFactor
		return p
	}
	for name, c := range map[string]struct {
		payload []byte
		// whether it is sent on to a client without TLS and a server with it, and so on
		plainSecure, securePlain, plainPlain bool
	}{
		"native":                  {switchTo(auth.PluginNative), true, true, true},
		"ed25519":                 {switchTo(auth.PluginEd25519), true, true, true},
		"sha2":                    {switchTo(auth.PluginSHA2), true, true, true},
		"sha2, fast":              {[]byte{1, 3}, true, true, true},
		"sha2, in full":           {[]byte{1, 4}, true, false, true},
		"sha256":                  {switchTo(auth.PluginSHA256), true, false, true},
		"dialog":                  {switchTo(auth.PluginDialog), true, false, true},
		"clear":                   {switchTo(auth.PluginClear), false, false, false},
		"clear as second factor":  {next(auth.PluginClear), false, false, false},
		"native as second factor": {next(auth.PluginNative), true, true, true},
		"a question of dialog":    {[]byte("\x02One-time code: "), true, true, true},
		"empty":                   {nil, true, true, true},
	} {
		for _, way := range []struct {
			name           string
			client, server *wire.PacketConn
			want           bool
		}{
			{"plain, secure", plain, secure, c.plainSecure},
			{"secure, plain", secure, plain, c.securePlain},
			{"plain, plain", plain, plain, c.plainPlain},
			{"secure, secure", secure, secure, true},
		} {
			err := sendable(way.client, way.server, c.payload)
			if refused := (*auth.UnsupportedPluginError)(nil); (err == nil) != way.want || err != nil && (!errors.As(err, &refused) || !refused.Insecure) {
				t.Errorf("%s: client %s server: %v", name, way.name, err)
			}
		}
	}
}
