package auth

import (
	"context"
	"crypto/tls"

	"github.com/onewriter/onewriter/internal/wire"
)

// Greet opens the conversation with a client: it sends the greeting, upgrades to TLS if the client asks for it, and
// reads the client's answer. Offer TLS by a config that is not nil; ClientSSL is then added to the greeting. The
// capabilities of the answer are those negotiated. The caller sets the deadline.
func Greet(ctx context.Context, client *wire.PacketConn, g wire.Greeting, config *tls.Config) (wire.HandshakeResponse, error) {
	const offer = wire.ClientSSL | wire.ClientSSLVerifyServerCert
	g.Capabilities &^= offer
	if config != nil {
		g.Capabilities |= offer
	}
	if err := client.WritePacket(g.AppendTo(nil)); err != nil {
		return wire.HandshakeResponse{}, err
	}
	payload, err := client.ReadPacket()
	if err != nil {
		return wire.HandshakeResponse{}, err
	}
	if config != nil && wire.IsSSLRequest(payload) {
		if err := client.UpgradeServer(ctx, config); err != nil {
			return wire.HandshakeResponse{}, err
		}
		if payload, err = client.ReadPacket(); err != nil {
			return wire.HandshakeResponse{}, err
		}
	}
	r, err := wire.ParseHandshakeResponse(payload)
	if err != nil {
		return wire.HandshakeResponse{}, err
	}
	r.Capabilities = wire.Negotiate(r.Capabilities, g.Capabilities)
	return r, nil
}
