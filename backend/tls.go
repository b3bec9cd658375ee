package backend

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// TLSMode says how far the way to the servers is protected. The names are those of the mysql client's --ssl-mode.
type TLSMode uint8

// The modes, from the default on.
const (
	TLSPreferred  TLSMode = iota // TLS when the server offers it; verified like TLSVerifyCA if a CA is given
	TLSDisabled                  // never
	TLSRequired                  // always; verified like TLSVerifyCA if a CA is given
	TLSVerifyCA                  // always, with a certificate of the given CA (or the system's)
	TLSVerifyFull                // as TLSVerifyCA, and the certificate names the host
)

var tlsModeNames = [...]string{"preferred", "disabled", "required", "verify-ca", "verify-full"}

// String gives the name as in the configuration.
func (m TLSMode) String() string {
	if int(m) < len(tlsModeNames) {
		return tlsModeNames[m]
	}
	return "unknown"
}

// ParseTLSMode reads a mode's name; "" is the default.
func ParseTLSMode(name string) (TLSMode, error) {
	if name == "" {
		return TLSPreferred, nil
	}
	for i, n := range tlsModeNames {
		if n == name {
			return TLSMode(i), nil
		}
	}
	return 0, fmt.Errorf("unknown TLS mode %q: want one of %q", name, tlsModeNames)
}

// LoadCA reads the PEM file of a certificate authority.
func LoadCA(name string) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("CA file %s: no certificate in it", name)
	}
	return pool, nil
}

// clientTLS makes the configuration for addr.
func (c Config) clientTLS(addr string, sessions tls.ClientSessionCache) *tls.Config {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	t := &tls.Config{
		ServerName:         host,
		RootCAs:            c.CA,
		Certificates:       c.Certificates,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: sessions,
	}
	if c.TLS == TLSVerifyFull {
		return t
	}
	// Servers make their own certificates, which name no host: the chain is verified by hand, or not at all.
	t.InsecureSkipVerify = true //nolint:gosec // VerifyConnection below does what the mode asks for
	if c.TLS == TLSVerifyCA || c.CA != nil {
		t.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, c.CA) }
	}
	return t
}

func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("server showed no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
	return err
}

// ClientTLS is the configuration for connections to addr (host:port) that others make, such as those of the control
// account, with the same verification. It is nil in mode TLSDisabled.
func (c Config) ClientTLS(addr string) *tls.Config {
	if c.TLS == TLSDisabled {
		return nil
	}
	return c.clientTLS(addr, nil)
}
