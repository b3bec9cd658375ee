package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/onewriter/onewriter/internal/wire"
)

// ServerCertificates gives the chain that the server at addr shows, unverified: for people to look at. Nothing secret is
// sent. A server without TLS gives ErrNoTLS.
func (d *Dialer) ServerCertificates(ctx context.Context, addr string) ([]*x509.Certificate, error) {
	g, err := d.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = g.pc.Conn().Close() }()
	if !g.Greeting.Capabilities.Has(wire.ClientSSL) {
		return nil, ErrNoTLS
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	response := LoginParams{}.response(g.Greeting.Capabilities)
	response.Capabilities |= wire.ClientSSL
	err = bounded(ctx, g.pc, func() error {
		if err := g.pc.WritePacket(wire.AppendSSLRequest(nil, response)); err != nil {
			return err
		}
		return g.pc.UpgradeClient(ctx, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // it is only shown
	})
	if err != nil {
		return nil, err
	}
	conn, ok := g.pc.Conn().(*tls.Conn)
	if !ok {
		return nil, errors.New("no TLS")
	}
	return conn.ConnectionState().PeerCertificates, nil
}
