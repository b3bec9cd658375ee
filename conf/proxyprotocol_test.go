package conf

import (
	"net/netip"
	"slices"
	"testing"
)

func TestParseNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3/8": "10.0.0.0/8", "10.0.0.7": "10.0.0.7/32", "2001:db8::/32": "2001:db8::/32", "::1": "::1/128",
		"::ffff:10.0.0.7": "10.0.0.7/32", "::ffff:10.0.0.0/104": "", "10.0.0.0/33": "", "lb.example": "", "": "", "fe80::1%eth0": "",
	} {
		p, err := parseNetwork(in)
		if got := p.String(); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q is %s, %v; want %s", in, got, err, want)
		}
	}
	l := ListenerProxyProtocol{Networks: []string{"10.0.0.0/8", "::1"}}
	if got := l.Prefixes(); !slices.Equal(got, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}) {
		t.Errorf("%v", got)
	}
}
