package doctor

import (
	"context"
	"net"
	"net/netip"
	"strings"
)

// proxyProtocol looks whether the server lets Onewriter say where clients come from, where it is told.
func proxyProtocol(ctx context.Context, x *examination, s *server) error {
	if !x.d.cfg.ProxyProtocol {
		return nil
	}
	const off = "onewriter.yaml: server_proxy_protocol: off"
	networks, has := s.vars["proxy_protocol_networks"]
	if !has {
		x.find("PROXY_PROTOCOL", s.name(), "server_proxy_protocol is set, and the server does not know the PROXY protocol: no client can log in there. Only MariaDB from 10.3 on knows it.",
			[]string{"version is " + s.v("version")}, off)
		return nil
	}
	var host string
	if err := s.q.QueryRowContext(ctx, "SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()").Scan(&host); err != nil {
		return err
	}
	if from, ok := addressOf(host); ok && !covered(networks, from) {
		x.find("PROXY_PROTOCOL", s.name(), "server_proxy_protocol is set, and the server does not take it from this host: no client can log in there.",
			[]string{"proxy_protocol_networks is '" + networks + "'", "Onewriter connects from " + from.String()},
			"SET GLOBAL proxy_protocol_networks = '"+joinedNetworks(networks, from)+"'", "my.cnf: proxy_protocol_networks = "+joinedNetworks(networks, from), off)
	}
	return nil
}

// addressOf is the address in the HOST of a process list; it is a name where the server resolves them.
func addressOf(host string) (netip.Addr, bool) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else if i := strings.LastIndexByte(host, ':'); i > 0 && strings.Count(host, ":") > 1 { // IPv6 without brackets
		host = host[:i]
	}
	a, err := netip.ParseAddr(host)
	return a.Unmap(), err == nil
}

// covered reports whether an address is in the value of proxy_protocol_networks: networks and addresses with commas
// between them, or an asterisk.
func covered(networks string, a netip.Addr) bool {
	for _, n := range strings.Split(networks, ",") {
		n = strings.TrimSpace(n)
		if n == "*" {
			return true
		}
		if p, err := netip.ParsePrefix(n); err == nil && p.Contains(a) {
			return true
		}
		if one, err := netip.ParseAddr(n); err == nil && one.Unmap() == a {
			return true
		}
	}
	return false
}

func joinedNetworks(networks string, a netip.Addr) string {
	if networks == "" {
		return a.String()
	}
	return networks + "," + a.String()
}
