package doctor

import (
	"net/netip"
	"testing"
)

func TestProxyProtocol(t *testing.T) {
	onWards(t, func(w *ward) {
		w.well("a", "PROXY_PROTOCOL")
		w.d = w.doctor(func(c *Config) { c.ProxyProtocol = true })
		w.sick("a", "PROXY_PROTOCOL")
		if !w.mariadb() {
			return
		}
		w.on("a", "SET GLOBAL proxy_protocol_networks='192.0.2.0/24'")
		w.sick("a", "PROXY_PROTOCOL")
		for _, networks := range []string{"192.0.2.0/24,127.0.0.0/8", "127.0.0.1", "*"} {
			w.on("a", "SET GLOBAL proxy_protocol_networks='"+networks+"'")
			w.well("a", "PROXY_PROTOCOL")
		}
		w.on("a", "SET GLOBAL proxy_protocol_networks=''")
	})
}

func TestAddressOf(t *testing.T) {
	for host, want := range map[string]string{
		"10.0.0.1:3306": "10.0.0.1", "10.0.0.1": "10.0.0.1", "2001:db8::1:4711": "2001:db8::1", "[2001:db8::1]:4711": "2001:db8::1",
		"::ffff:10.0.0.1:4711": "10.0.0.1", "db.example:4711": "", "localhost": "",
	} {
		a, ok := addressOf(host)
		if ok != (want != "") || ok && a != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, %v", host, a, ok)
		}
	}
}
