package conf

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// validator checks what one key alone cannot tell, reads secret files and makes file names absolute.
type validator struct {
	*walker
	dir      string
	cfg      *Config
	warnings []Problem
	bound    []binding
}

// binding is one address this process wants to listen on.
type binding struct {
	path, host string
	port       int
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

func (v *validator) fail(path, fix, format string, args ...any) {
	if !v.reported(path) {
		v.problem(path, v.lines[path], fix, format, args...)
	}
}

func (v *validator) warn(path, fix, format string, args ...any) {
	v.warnings = append(v.warnings, Problem{Path: path, Line: v.lines[path], Text: fmt.Sprintf(format, args...), Fix: fix})
}

func (v *validator) run() {
	v.admin()
	names := map[string]string{}
	for i := range v.cfg.Clusters {
		path := fmt.Sprintf("clusters[%d]", i)
		c := &v.cfg.Clusters[i]
		v.name(path+".name", c.Name, names, "cluster")
		v.cluster(path, c)
	}
	v.stateDir()
	v.environment()
}

func (v *validator) cluster(path string, c *Cluster) {
	v.servers(path, c)
	for i := range c.Listeners {
		v.listener(fmt.Sprintf("%s.listeners[%d]", path, i), &c.Listeners[i])
	}
	if c.Control.User != "" {
		v.secret(path+".control.password", &c.Control.Password, &c.Control.PasswordFile, true)
	}
	v.secret(path+".replication.password", &c.Replication.Password, &c.Replication.PasswordFile, c.Replication.User != "")
	v.users(path, c)
	v.file(path+".rsa_key_file", &c.RSAKeyFile)
	v.serverTLS(path+".server_tls", &c.ServerTLS)
	if c.Health.Timeout > 0 && c.Health.Interval > 4*c.Health.Timeout {
		v.warn(path+".health.interval", "make it shorter than timeout", "is much longer than timeout (%s): a dead server is noticed late", c.Health.Timeout)
	}
	if f := c.Failover; c.Limits.HoldTimeout > 0 && c.Limits.HoldTimeout < f.DrainTimeout+f.FenceTimeout+f.CatchupTimeout {
		v.warn(path+".limits.hold_timeout", "make it longer", "is shorter than a switchover may pause (drain_timeout + fence_timeout + catchup_timeout = %s)",
			f.DrainTimeout+f.FenceTimeout+f.CatchupTimeout)
	}
	v.failover(path, c)
	v.fencing(path+".fencing", &c.Fencing)
	v.ignored(path+".doctor.ignore", c.Doctor.Ignore)
}

func (v *validator) servers(path string, c *Cluster) {
	names, addresses := map[string]string{}, map[string]string{}
	if len(c.Servers) > 0 && !slices.ContainsFunc(c.Servers, func(s Server) bool { return !s.NeverPrimary }) {
		v.fail(path+".servers", "remove never_primary from one", "all have never_primary, so nobody is left to be the primary")
	}
	for i, s := range c.Servers {
		p := fmt.Sprintf("%s.servers[%d]", path, i)
		v.name(p+".name", s.Name, names, "server")
		if s.Address == "" {
			continue
		}
		host, port, ok := v.address(p+".address", s.Address, "3306")
		if !ok {
			continue
		}
		if host == "" || port == 0 {
			v.fail(p+".address", "write host:port", "%q names no host or port", s.Address)
			continue
		}
		if other, dup := addresses[strings.ToLower(s.Address)]; dup {
			v.fail(p+".address", "give each server its own address", "%s is also the address of %s", s.Address, other)
		}
		addresses[strings.ToLower(s.Address)] = p
	}
}

func (v *validator) listener(path string, l *Listener) {
	if l.Address != "" {
		v.bind(path+".address", l.Address, "6446")
	}
	if l.Route == RouteSplit {
		v.fail(path+".route", "write primary or standby", "split (reads to standbys, writes to the primary on one port) is not in this version")
	}
	v.proxyProtocol(path+".proxy_protocol", &l.ProxyProtocol)
	for _, key := range []string{"max_replication_lag", "fallback"} {
		if v.explicit[path+"."+key] && l.Route == RoutePrimary {
			v.fail(path+"."+key, "remove it, or write route: standby", "has no meaning with route: primary")
		}
	}
	if l.Route == RoutePrimary {
		l.MaxReplicationLag, l.Fallback = 0, ""
	}
	v.listenerTLS(path+".tls", &l.TLS)
}

func (v *validator) users(path string, c *Cluster) {
	names := map[string]string{}
	for i := range c.Users {
		p := fmt.Sprintf("%s.users[%d]", path, i)
		if other, dup := names[c.Users[i].Name]; dup {
			v.fail(p+".name", "keep one of the two", "%q is also in %s", c.Users[i].Name, other)
		}
		names[c.Users[i].Name] = p
		v.secret(p+".password", &c.Users[i].Password, &c.Users[i].PasswordFile, true)
	}
}

func (v *validator) admin() {
	a := &v.cfg.Admin
	v.secret("admin.token", &a.Token, &a.TokenFile, false)
	if n := len(a.Token.Reveal()); n > 0 && n < 16 {
		v.warn("admin.token", "use at least 16 random characters", "is only %d characters long", n)
	}
	if a.Address == "" {
		return
	}
	host, _, ok := v.bind("admin.address", a.Address, "8989")
	if ok && a.Token == "" && !Loopback(host) {
		v.fail("admin.address", "listen on 127.0.0.1, or set admin.token_file", "%s can be reached from other machines and there is no token", a.Address)
	}
}

// Loopback reports whether host is an address that only this machine can reach.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (v *validator) name(path, name string, seen map[string]string, what string) {
	if name == "" {
		return
	}
	if !nameRule.MatchString(name) {
		v.fail(path, "use letters, digits, dots, dashes and underscores, at most 64", "%q cannot be a name", name)
	}
	if other, dup := seen[name]; dup {
		v.fail(path, "give each "+what+" its own name", "%q is also the name of %s", name, strings.TrimSuffix(other, ".name"))
	}
	seen[name] = path
}

func (v *validator) address(path, address, port string) (host string, number int, ok bool) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		v.fail(path, "write host:port, for example "+exampleAddress(address, port), "%q is not host:port", address)
		return "", 0, false
	}
	number, err = strconv.Atoi(portText)
	if err != nil || number < 0 || number > 65535 {
		v.fail(path, "write a number from 1 to 65535", "%q is no port", portText)
		return "", 0, false
	}
	return host, number, true
}

func exampleAddress(address, port string) string {
	if strings.Contains(address, ":") {
		return net.JoinHostPort("10.0.0.1", port)
	}
	return net.JoinHostPort(address, port)
}

// bind checks an address to listen on against all others of this process.
func (v *validator) bind(path, address, port string) (host string, number int, ok bool) {
	host, number, ok = v.address(path, address, port)
	if !ok || number == 0 {
		return host, number, ok
	}
	for _, b := range v.bound {
		if b.port == number && overlap(b.host, host) {
			v.fail(path, "use another port", "%s collides with %s", address, b.path)
			break
		}
	}
	v.bound = append(v.bound, binding{path: path, host: host, port: number})
	return host, number, ok
}

func overlap(a, b string) bool {
	return wildcard(a) || wildcard(b) || strings.EqualFold(numeric(a), numeric(b))
}

func numeric(host string) string {
	if strings.EqualFold(host, "localhost") {
		return "127.0.0.1"
	}
	return host
}

func wildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
