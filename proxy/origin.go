package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/proxyproto"
	"github.com/onewriter/onewriter/internal/wire"
)

// ProxyProtocol says from whom a listener takes the word about where a client comes from.
type ProxyProtocol struct {
	// Networks are those of the load balancers before this listener that send a PROXY protocol header (version 1 or 2).
	// Others that send one are refused: everybody could claim to be anybody.
	Networks []netip.Prefix
	// Optional also serves those of Networks that send none, after Timeout, as what they are.
	Optional bool
	// Timeout is how long a header may take to arrive. Default 2 s.
	Timeout time.Duration
}

func (p ProxyProtocol) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(p.Networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// origin is where a client comes from, and where it connected to. It is immutable.
type origin struct{ proxyproto.Header }

// originOf is what the connection itself tells.
func originOf(conn net.Conn) *origin {
	return &origin{proxyproto.Header{Source: addrPort(conn.RemoteAddr()), Destination: addrPort(conn.LocalAddr())}}
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// address is the client's host:port, for people.
func (s *clientSession) address() string { return s.origin.Load().Source.String() }

// source is the client's address without its port: what limits by source count.
func (s *clientSession) source() string { return s.origin.Load().Source.Addr().String() }

// learnOrigin reads the header that a load balancer sends before everything else, where the listener wants one. It
// reads the header exactly, so that the connection can be used as it is.
func (s *clientSession) learnOrigin() error {
	p := s.listener.config.ProxyProtocol
	peer := s.origin.Load().Source
	if !p.trusts(peer.Addr()) {
		return nil
	}
	_ = s.clientTC.SetReadDeadline(time.Now().Add(p.Timeout))
	defer func() { _ = s.clientTC.SetReadDeadline(time.Time{}) }()
	r := countingReader{r: s.clientTC}
	h, err := proxyproto.Read(&r)
	switch {
	case err == nil && h.Known():
		s.origin.Store(&origin{h})
		return nil
	case err == nil: // a health check of the load balancer's own
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded) && r.n == 0 && p.Optional:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("none came within %s (proxy_protocol.timeout)", p.Timeout)
	case !errors.Is(err, proxyproto.ErrMalformed):
		return fmt.Errorf("reading the PROXY protocol header: %w", err) // it hung up
	default: // what is left unread would reset the connection, and take the error with it
		_ = s.clientTC.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, _ = s.clientTC.Read(make([]byte, 4096))
	}
	s.cluster.metrics.refuse(refusedProxyHeader)
	return errProxyHeader(fmt.Sprintf("from %s this listener takes connections with a PROXY protocol header only: %v", peer.Addr(), err))
}

// countingReader counts the bytes that were read.
type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

// What a PROXY protocol header begins with: four bytes, of which three are read as the length of a packet.
const (
	headV1 = "PROX"
	headV2 = "\r\n\r\n"
)

func sizeIn(head string) int { return int(head[0]) | int(head[1])<<8 | int(head[2])<<16 }

// unwanted explains the failure of a login that began with a header nobody asked for, else it gives err.
func (s *clientSession) unwanted(client *wire.PacketConn, err error) error {
	large, head := (*wire.TooLargeError)(nil), ""
	switch {
	case !errors.As(err, &large):
		return err
	case large.Size == sizeIn(headV1):
		head = headV1
	case large.Size == sizeIn(headV2):
		head = headV2
	default:
		return err
	}
	if _, herr := proxyproto.Read(io.MultiReader(strings.NewReader(head), s.clientTC)); herr != nil {
		return err
	}
	s.cluster.metrics.refuse(refusedProxyHeader)
	if _, err := client.ReadPacket(); err != nil { // the login itself: only its answer can be an error
		return err
	}
	return s.refuseLogin(client, errProxyHeader(fmt.Sprintf("there is a PROXY protocol header, and %s is not in proxy_protocol.networks of this listener", s.origin.Load().Source.Addr())))
}

// erHandshake is the servers' code for what a proxy before them did wrong.
const erHandshake = 1043 // 08S01

func errProxyHeader(text string) *clientError {
	return &clientError{erHandshake, "08S01", "onewriter: bad handshake: " + text, true}
}
