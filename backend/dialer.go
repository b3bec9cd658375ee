package backend

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/internal/proxyproto"
	"github.com/onewriter/onewriter/internal/sockopt"
	"github.com/onewriter/onewriter/internal/wire"
)

const (
	defaultTimeout = 10 * time.Second
	spareLife      = 5 * time.Second // below MySQL's connect_timeout, 10 s
	sparesPerAddr  = 16
	tlsSessions    = 64
)

// Config is how to reach the servers.
type Config struct {
	TLS TLSMode
	// Roots gives the authorities that servers' certificates must be signed by, anew for each handshake; nil means the
	// system's where a mode demands to verify.
	Roots func() *x509.CertPool
	// Fingerprints are certificates that are trusted as they are.
	Fingerprints []Fingerprint
	// Certificate gives what servers are shown that ask for a certificate; nil shows none.
	Certificate func() *tls.Certificate
	// TCP says when a server that vanished is given up.
	TCP sockopt.Options
	// Compression is asked for at servers that offer it; others are spoken to without.
	Compression wire.Compression
	// Timeout bounds each dial and each login beside the context's own deadline; default 10 s.
	Timeout time.Duration
	// ProxyProtocol is the form in which servers are told where clients come from; only MariaDB takes that.
	ProxyProtocol proxyproto.Version
	Logger        zerolog.Logger
	// Leave is a login that is good for nothing but ending connections that found no use; see discard. Nil drops them.
	Leave *LoginParams
}

// Dialer opens connections to servers. It is safe for concurrent use.
type Dialer struct {
	config   Config
	sessions tls.ClientSessionCache

	leaving chan *Greeted

	mu     sync.Mutex
	spares map[string][]*Greeted // guarded by mu; by address, the oldest first: by the server's ids
	closed bool                  // guarded by mu
}

// New makes a Dialer. It starts nothing.
func New(c Config) *Dialer {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	return &Dialer{config: c, sessions: tls.NewLRUClientSessionCache(tlsSessions), spares: map[string][]*Greeted{}, leaving: make(chan *Greeted, leaveQueue)}
}

// TCP is how the connections were made.
func (d *Dialer) TCP() sockopt.Options { return d.config.TCP }

// Greet is Dial, or takes a connection that was given back and is not older than 5 seconds. It is for sessions that bring their
// state along: servers take their global variables for those of the session when a connection is made, not when somebody logs in
// (MariaDB 10.11, MySQL 9.7).
func (d *Dialer) Greet(ctx context.Context, addr string) (*Greeted, error) {
	if g := d.takeSpare(addr); g != nil {
		return g, nil
	}
	return d.Dial(ctx, addr)
}

// Dial connects to the server at addr (host:port) and reads its greeting. A server that refuses gives a *wire.ServerError (1040,
// 1129...), anything else is an error of the network.
func (d *Dialer) Dial(ctx context.Context, addr string) (*Greeted, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	nd := net.Dialer{KeepAlive: -1}
	conn, err := nd.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", addr, err)
	}
	sockopt.Apply(conn, d.config.TCP)
	pc := wire.NewPacketConn(conn)
	var greeting wire.Greeting
	err = bounded(ctx, pc, func() error {
		payload, err := pc.ReadPacket()
		if err != nil {
			return err
		}
		greeting, err = wire.ParseGreeting(payload)
		return err
	})
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("greeting of %s: %w", addr, err)
	}
	return &Greeted{Greeting: greeting, Addr: addr, dialer: d, pc: pc, since: time.Now()}, nil
}

// takeSpare gives the oldest connection that was given back and still lives, else nil. The oldest, because MariaDB begins
// to count its limits per hour anew when a login comes on a connection that is older than the one before (measured on 10.11).
func (d *Dialer) takeSpare(addr string) *Greeted {
	for {
		d.mu.Lock()
		stale := d.expire(time.Now())
		var g *Greeted
		if list := d.spares[addr]; len(list) > 0 {
			g = list[0]
			d.spares[addr] = list[1:]
		}
		d.mu.Unlock()
		d.discard(stale)
		if g == nil || alive(g.pc.Conn()) {
			return g
		}
		_ = g.pc.Conn().Close()
	}
}

// Run closes connections that were given back and found no use, until ctx is done; then it closes the rest.
func (d *Dialer) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	left := make(chan struct{})
	go func() {
		defer close(left)
		d.leave(ctx)
	}()
	defer func() { <-left }()
	for {
		select {
		case <-ctx.Done():
			d.Close()
			return nil
		case now := <-ticker.C:
			d.mu.Lock()
			stale := d.expire(now)
			d.mu.Unlock()
			d.discard(stale)
		}
	}
}

// Close closes the unused connections; later ones are closed when they are given back.
func (d *Dialer) Close() {
	d.mu.Lock()
	d.closed = true
	stale := d.expire(time.Now().Add(2 * spareLife))
	d.mu.Unlock()
	closeAll(stale)
}

// expire takes out what is too old. The caller holds mu and closes the result after it.
func (d *Dialer) expire(now time.Time) []*Greeted {
	var stale []*Greeted
	for addr, list := range d.spares {
		list = slices.DeleteFunc(list, func(g *Greeted) bool {
			old := now.Sub(g.since) > spareLife
			if old {
				stale = append(stale, g)
			}
			return old
		})
		if len(list) == 0 {
			delete(d.spares, addr)
		} else {
			d.spares[addr] = list
		}
	}
	return stale
}

// keep takes a connection that nobody has used; false means that there are most already and that it must be closed.
func (d *Dialer) keep(g *Greeted, most int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.spares[g.Addr]) >= most {
		return false
	}
	list := d.spares[g.Addr]
	at, _ := slices.BinarySearchFunc(list, g.Greeting.ConnID, func(g *Greeted, id uint32) int { return cmp.Compare(g.Greeting.ConnID, id) })
	d.spares[g.Addr] = slices.Insert(list, at, g)
	return true
}

func closeAll(list []*Greeted) {
	for _, g := range list {
		_ = g.pc.Conn().Close()
	}
}

// bounded runs fn with the deadline of ctx on pc, and interrupts it when ctx ends.
func bounded(ctx context.Context, pc *wire.PacketConn, fn func() error) error {
	deadline, _ := ctx.Deadline()
	if err := pc.SetDeadline(deadline); err != nil {
		return err
	}
	conn := pc.Conn()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := fn()
	if !stop() && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return pc.SetDeadline(time.Time{})
}
