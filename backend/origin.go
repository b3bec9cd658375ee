package backend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"syscall"

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

// explain recognises the refusal of the header: MariaDB sends error 1130 with the number of the packet that it did not
// take, in the clear, and hangs up.
func (g *Greeted) explain(err error) error {
	if g.dialer.config.ProxyProtocol == proxyproto.Off {
		return err
	}
	if errors.As(err, new(*wire.SequenceError)) || errors.As(err, new(tls.RecordHeaderError)) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("%w (%w)", errHeaderRefused, err)
	}
	return err
}
