package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// startHAProxy starts it with its defaults, which include a thread for each core. It can't take part in the protocol,
// where client and server agree on TLS after the greeting: its clients speak TLS from the first byte on, and for TLS
// towards the server a second HAProxy takes that off again in front of it.
func (r *rig) startHAProxy(ctx context.Context, program string) (*target, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	t := &target{port: ports[0], tls: r.tls != plain}
	bind, server := "", r.pair.Servers[0].Addr()
	if r.tls != plain {
		bind = " ssl crt " + r.bundleFile()
	}
	if r.tls == bothTLS {
		end := &target{port: ports[1]}
		if err := r.startOneHAProxy(ctx, program, end, " ssl crt "+r.bundleFile(), server); err != nil {
			return nil, err
		}
		t.children = end.children
		server = fmt.Sprintf("127.0.0.1:%d ssl verify none", ports[1])
	}
	return t, r.startOneHAProxy(ctx, program, t, bind, server)
}

func (r *rig) startOneHAProxy(ctx context.Context, program string, t *target, bind, server string) error {
	file := filepath.Join(r.dir, fmt.Sprintf("haproxy-%d.cfg", t.port))
	err := os.WriteFile(file, fmt.Appendf(nil, `global
    maxconn %d
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:%d%s
    server a %s
`, r.o.most()+100, t.port, bind, server), 0o600)
	if err != nil {
		return err
	}
	return r.start(ctx, t, []string{program, "-db", "-f", file}, func() error { return accepts(ctx, t.port) })
}
