package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/onewriter/onewriter/internal/proxyproto"
	"github.com/onewriter/onewriter/internal/wire"
)

// ErrNoProxyProtocol says that a server would take a PROXY protocol header for garbage: MySQL does not know it.
var ErrNoProxyProtocol = errors.New("the server is no MariaDB and does not know the PROXY protocol: set server_proxy_protocol: off")

// errHeaderRefused is the end of a login that began with a PROXY protocol header.
var errHeaderRefused = errors.New("the server does not take the PROXY protocol from this host: add its address to proxy_protocol_networks of the server, or set server_proxy_protocol: off")

// Check tells whether clients can be introduced to a server that greets so: nil, or ErrNoProxyProtocol.
func (d *Dialer) Check(g wire.Greeting) error {
	if d.config.ProxyProtocol != proxyproto.Off && !g.Capabilities.MariaDB() {
		return ErrNoProxyProtocol
	}
	return nil
}

// introduce tells the server who the client is. MariaDB takes the header in place of the first packet of a client, so
// that a connection can be greeted before it is known for whom it will be (net_serv.cc, handle_proxy_header; seen on
// 10.11).
func (g *Greeted) introduce(h proxyproto.Header) error {
	if g.dialer.config.ProxyProtocol == proxyproto.Off {
		return nil
	}
	if err := g.dialer.Check(g.Greeting); err != nil {
		return err
	}
	_, err := g.pc.Conn().Write(h.Append(nil, g.dialer.config.ProxyProtocol))
	return err
}

// explain finds out why a login failed that began with a header. MariaDB answers to a header that it does not take (error
// 1130), and to a client whose host no account has (1130 as well), with the number of the packet that it has not taken,
// and in the clear where TLS is on its way. So it is asked again, with the header alone.
func (g *Greeted) explain(ctx context.Context, h proxyproto.Header, err error) error {
	if g.dialer.config.ProxyProtocol == proxyproto.Off {
		return err
	}
	if !errors.As(err, new(*wire.SequenceError)) && !errors.As(err, new(tls.RecordHeaderError)) &&
		!errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	refusal := g.headerRefusal(ctx, h)
	switch {
	case refusal == nil:
		return err
	case strings.Contains(refusal.Message, "Proxy header"):
		return fmt.Errorf("%w (%w)", errHeaderRefused, errors.New(refusal.Error())) // not as the server's own: the client has done nothing wrong
	default:
		return refusal
	}
}

// headerRefusal is what the server says to a header, nil if it says nothing.
func (g *Greeted) headerRefusal(ctx context.Context, h proxyproto.Header) *wire.ServerError {
	again, err := g.dialer.Dial(ctx, g.Addr)
	if err != nil {
		return nil
	}
	defer func() { _ = again.pc.Conn().Close() }()
	refusal := (*wire.ServerError)(nil)
	ctx, cancel := context.WithTimeout(ctx, refusalPatience)
	defer cancel()
	err = bounded(ctx, again.pc, func() error {
		if err := again.introduce(h); err != nil {
			return err
		}
		again.pc.SetSequence(1)
		payload, err := again.pc.ReadPacket()
		if err != nil {
			return err
		}
		refusal, err = wire.ParseErr(payload)
		return err
	})
	if err != nil {
		return nil
	}
	return refusal
}

// refusalPatience is how long the server is waited for that is asked for its reasons.
const refusalPatience = 2 * time.Second
