package conf

import (
	"fmt"
	"net/netip"
	"time"
)

// ProxyProtocolVersion is the form of a PROXY protocol header.
type ProxyProtocolVersion string

// The forms.
const (
	ProxyProtocolOff ProxyProtocolVersion = "off"
	ProxyProtocolV1  ProxyProtocolVersion = "v1"
	ProxyProtocolV2  ProxyProtocolVersion = "v2"
)

// ListenerProxyProtocol is about load balancers before a listener that tell where clients come from, by a header of the
// PROXY protocol (version 1 or 2). That address is then the client's for logs, for limits by source and for the servers.
type ListenerProxyProtocol struct {
	// Networks are the addresses and networks (`10.0.0.7`, `10.0.0.0/8`) of the load balancers that send such a header.
	// Nobody else's is taken: a client from elsewhere that sends one is refused. Empty takes none.
	Networks []string `yaml:"networks"`
	// Required says whether connections from those networks must have the header. With `false` one that sends nothing for
	// the time of `timeout` is served as what it is, which delays it by that time.
	Required bool `yaml:"required" default:"true"`
	// Timeout is how long the header may take to arrive.
	Timeout time.Duration `yaml:"timeout" default:"2s" min:"10ms" max:"1m"`
}

// Prefixes are the networks.
func (l ListenerProxyProtocol) Prefixes() []netip.Prefix {
	out := make([]netip.Prefix, 0, len(l.Networks))
	for _, n := range l.Networks {
		if p, err := parseNetwork(n); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// parseNetwork reads a network or a single address.
func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, aerr := netip.ParseAddr(s)
		if aerr != nil || a.Zone() != "" {
			return netip.Prefix{}, err
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s: write it as a network of IPv4", s)
	}
	return p.Masked(), nil
}

func (v *validator) proxyProtocol(path string, l *ListenerProxyProtocol) {
	for i, n := range l.Networks {
		if _, err := parseNetwork(n); err != nil {
			v.fail(fmt.Sprintf("%s.networks[%d]", path, i), "write a network such as 10.0.0.0/8, or an address", "%q is no network", n)
		} else if p, _ := parseNetwork(n); p.Bits() == 0 {
			v.warn(fmt.Sprintf("%s.networks[%d]", path, i), "name the load balancers", "lets everybody who can connect claim to come from anywhere")
		}
	}
}
