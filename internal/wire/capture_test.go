package wire

import (
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/capture"
)

// longestSeed bounds what captures give to fuzzers, in bytes.
const longestSeed = 200

// commands calls fn with what real servers answered to commands, and the features of the connection.
func commands(f *testing.F, fn func(features byte, sent, answer []byte)) {
	for _, c := range capture.Read(f, "../../session/testdata/captures/*.gz") {
		caps := Capability(c.Caps)
		var features byte
		for i, has := range []bool{
			caps.Has(ClientDeprecateEOF), caps.Has(ClientOptionalMetadata), caps.Has(MariaDBCacheMetadata), caps.Has(MariaDBProgress),
		} {
			if has {
				features |= 1 << i
			}
		}
		c.Each(func(e capture.Exchange) {
			if len(e.Sent) > HeaderSize && len(e.Answer) <= longestSeed {
				fn(features, e.Sent, e.Answer)
			}
		})
	}
}

// okPackets calls fn with the payloads of the OK packets that real servers sent with session state.
func okPackets(f *testing.F, fn func(payload []byte, o OK)) {
	commands(f, func(_ byte, _, answer []byte) {
		for _, p := range capture.Payloads(answer) {
			if len(p) == 0 || p[0] != 0 && p[0] != HeaderEOF {
				continue
			}
			if o, err := ParseOK(p); err == nil && o.Track != nil {
				fn(p, o)
			}
		}
	})
}

// addLogins adds the payloads of all packets of recorded logins that a client, or a server, sent.
func addLogins(f *testing.F, client bool, add func(payload []byte)) {
	for _, c := range capture.Read(f, "testdata/logins/*.txt") {
		c.Each(func(e capture.Exchange) {
			b := e.Answer
			if client {
				b = e.Sent
			}
			for _, p := range capture.Payloads(b) {
				add(p)
			}
		})
	}
}

// TestLoginCaptures parses what real clients and servers said when they met, and writes it again as it was.
func TestLoginCaptures(t *testing.T) {
	list := capture.Read(t, "testdata/logins/*.txt")
	for _, c := range list {
		for _, k := range c.Cases {
			t.Run(c.Name+"/"+k.Name, func(t *testing.T) {
				greeting := capture.Payloads(k.Exchanges[0].Answer)[0]
				g, err := ParseGreeting(greeting)
				if err != nil || !strings.Contains(g.AuthPlugin, "password") {
					t.Fatalf("%+v, %v", g, err)
				}
				if again := g.AppendTo(nil); string(again) != string(greeting) {
					t.Errorf("greeting\n%q became\n%q", greeting, again)
				}
				response := capture.Payloads(k.Exchanges[1].Sent)[0]
				r, err := ParseHandshakeResponse(response)
				if err != nil || r.User != "app" || r.Plugin == "" {
					t.Fatalf("%+v, %v", r, err)
				}
				if again, err := ParseHandshakeResponse(r.AppendTo(nil)); err != nil || again.User != r.User || string(again.Auth) != string(r.Auth) || again.Charset != r.Charset {
					t.Errorf("%+v became %+v, %v", r, again, err)
				}
			})
		}
	}
	if len(list) < 3 {
		t.Errorf("only %d files", len(list))
	}
}
