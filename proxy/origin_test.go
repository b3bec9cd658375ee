package proxy

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/proxyproto"
	"github.com/onewriter/onewriter/internal/wire"
)

// attributeText encodes connection attributes: name, value, name, value ...
func attributeText(list ...string) (b []byte) {
	for _, s := range list {
		b = wire.AppendLenEncBytes(b, []byte(s))
	}
	return b
}

func TestAttributes(t *testing.T) {
	s := &clientSession{cluster: &Cluster{config: Config{Version: "1.2"}}}
	s.origin.Store(&origin{proxyproto.Header{Source: netip.MustParseAddrPort("192.0.2.1:4711")}})
	ours := attributeText("_proxy_client_ip", "192.0.2.1", "_proxy_client_port", "4711", "_proxy_name", "onewriter", "_proxy_version", "1.2")
	theirs := attributeText("program_name", "shop", "_client_name", "x", "empty", "")
	big := attributeText("big", strings.Repeat("x", wire.MaxAttrsLen-len(ours)-7))
	for name, c := range map[string]struct{ in, want []byte }{
		"none":                       {nil, ours},
		"some":                       {theirs, append(bytes.Clone(theirs), ours...)},
		"forged":                     {append(attributeText("_proxy_client_ip", "127.0.0.1"), theirs...), append(bytes.Clone(theirs), ours...)},
		"full":                       {big, append(bytes.Clone(big), ours...)},
		"too full":                   {append(attributeText("x", ""), big...), append(attributeText("x", ""), big...)},
		"cut":                        {append(bytes.Clone(theirs), 9, 'x'), append(bytes.Clone(theirs), ours...)},
		"without value":              {attributeText("x"), ours},
		"forged, then cut":           {append(attributeText("_proxy_client_ip", "127.0.0.1"), 0xFF), ours},
		"forged, then without value": {attributeText("_proxy_client_ip", "127.0.0.1", "x"), ours},
	} {
		if got := s.attributes(c.in); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %d bytes %.200q, want %d %.200q", name, len(got), got, len(c.want), c.want)
		}
	}
}

// knock connects, says what a load balancer or somebody else would say, and gives the first packet of the answer.
func (b *testbed) knock(text string) ([]byte, error) {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		b.t.Fatal(err)
	}
	return wire.NewPacketConn(conn).ReadPacket()
}

func TestHeaderOfALoadBalancer(t *testing.T) {
	h := proxyproto.Header{Source: netip.MustParseAddrPort("192.0.2.1:4711"), Destination: netip.MustParseAddrPort("192.0.2.2:3306")}
	v1, v2 := string(h.Append(nil, proxyproto.V1)), string(h.Append(nil, proxyproto.V2))
	own := "127.0.0.1:"
	for name, c := range map[string]struct {
		text     string
		optional bool
		client   string // "" is a refusal
	}{
		"version 1":         {v1, false, "192.0.2.1:4711"},
		"version 2":         {v2, false, "192.0.2.1:4711"},
		"local":             {string(proxyproto.Header{}.Append(nil, proxyproto.V2)), false, own},
		"unknown":           {"PROXY UNKNOWN\r\n", false, own},
		"none":              {"", false, ""},
		"none, and allowed": {"", true, own},
		"half":              {v2[:7], false, ""},
		"half, and allowed": {v2[:7], true, ""},
		"garbage":           {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, ""},
		"garbage, allowed":  {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			limit := 50 * time.Millisecond
			if c.client != "" && c.text != "" { // it does come, but the machine may be busy
				limit = patience
			}
			bed := newTestbed(t, func(cfg *Config) {
				cfg.Listeners[0].ProxyProtocol = ProxyProtocol{
					Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Optional: c.optional, Timeout: limit,
				}
			})
			payload, err := bed.knock(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if c.client == "" {
				if e, err := wire.ParseErr(payload); err != nil || e.Code != erHandshake || !strings.Contains(e.Message, "PROXY protocol") {
					t.Errorf("%v, %v", e, err)
				}
				bed.eventually("the session is gone", func() bool { return bed.cluster.Count() == 0 })
				return
			}
			if wire.IsErr(payload) {
				t.Fatalf("refused: %q", payload)
			}
			if list := bed.cluster.Sessions(); len(list) != 1 || !strings.HasPrefix(list[0].Client, c.client) {
				t.Errorf("the client is %+v, want %s", list, c.client)
			}
		})
	}
}

func TestShutdownWhileAHeaderIsAwaited(t *testing.T) {
	bed := newTestbed(t, func(cfg *Config) {
		cfg.Listeners[0].ProxyProtocol = ProxyProtocol{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: time.Minute}
	})
	conn, err := net.Dial("tcp", bed.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	bed.eventually("the client is accepted", func() bool { return bed.cluster.Count() == 1 })
	bed.stop()
}
