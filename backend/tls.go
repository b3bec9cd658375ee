package backend

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// TLSMode says how far the way to the servers is protected. The names but the first are those of the mysql client's
// --ssl-mode.
type TLSMode uint8

// The modes, from the default on. With roots or fingerprints given, every mode but TLSDisabled verifies against them.
const (
	// TLSVerify is TLSRequired with a certificate that is verified: signed by one of the given roots, or of a given
	// fingerprint, or, with neither, as TLSVerifyFull. A server on this machine's loopback is exempt while neither is
	// given: then it is TLSPreferred.
	TLSVerify     TLSMode = iota
	TLSDisabled           // never
	TLSPreferred          // when the server offers it
	TLSRequired           // always
	TLSVerifyCA           // always, and signed by one of the roots, or of the system's if none are given
	TLSVerifyFull         // as TLSVerifyCA, and the certificate names the host
)

var tlsModeNames = [...]string{"verify", "disabled", "preferred", "required", "verify-ca", "verify-full"}

// String gives the name as in the configuration.
func (m TLSMode) String() string {
	if int(m) < len(tlsModeNames) {
		return tlsModeNames[m]
	}
	return "unknown"
}

// Fingerprint is the SHA-256 of a certificate in DER form.
type Fingerprint [sha256.Size]byte

// FingerprintOf is that of cert.
func FingerprintOf(cert *x509.Certificate) Fingerprint { return sha256.Sum256(cert.Raw) }

// String gives it as openssl prints it: upper-case hex with colons.
func (f Fingerprint) String() string {
	var b strings.Builder
	for i, v := range f {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", v)
	}
	return b.String()
}

// ParseFingerprint reads 64 hex digits, with or without colons, in either case.
func ParseFingerprint(text string) (f Fingerprint, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(b) != len(f) {
		return f, fmt.Errorf("%q is no SHA-256 fingerprint: want %d hex digits", text, 2*len(f))
	}
	return Fingerprint(b), nil
}

// UntrustedError says that a server's certificate did not pass. Its text says what can be done.
type UntrustedError struct {
	Addr        string
	Certificate *x509.Certificate
	Cause       error
}

// Error says what the certificate is, why it is not trusted, and how it can be.
func (e *UntrustedError) Error() string {
	return fmt.Sprintf("the certificate of %s is not trusted: %v (it is %s, from %s, SHA-256 fingerprint %s); to trust it, put the server's CA (its ssl_ca, often ca.pem) into server_tls.ca_file, or the fingerprint into server_tls.fingerprints: see `onewriter config fingerprints`",
		e.Addr, e.Cause, e.Certificate.Subject, e.Certificate.Issuer, FingerprintOf(e.Certificate))
}

// Unwrap gives the cause.
func (e *UntrustedError) Unwrap() error { return e.Cause }

// DemandsTLS reports whether a server at addr (host:port) must be talked to by TLS.
func (c Config) DemandsTLS(addr string) bool {
	switch c.TLS {
	case TLSDisabled, TLSPreferred:
		return false
	case TLSVerify:
		return !c.exempt(addr)
	case TLSRequired, TLSVerifyCA, TLSVerifyFull:
		return true
	default:
		return true
	}
}

// exempt reports whether addr is on this machine and nothing says how to verify it.
func (c Config) exempt(addr string) bool {
	if c.Roots != nil || len(c.Fingerprints) > 0 {
		return false
	}
	host := hostOf(addr)
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// verifies reports whether the certificate of addr is looked at, and whether it must name the host.
func (c Config) verifies(addr string) (chain, name bool) {
	given := c.Roots != nil || len(c.Fingerprints) > 0
	switch c.TLS {
	case TLSVerify:
		return !c.exempt(addr), !given
	case TLSVerifyCA:
		return true, false
	case TLSVerifyFull:
		return true, true
	case TLSDisabled, TLSPreferred, TLSRequired:
		return given, false
	default:
		return true, true
	}
}

// clientTLS makes the configuration for addr.
func (c Config) clientTLS(addr string, sessions tls.ClientSessionCache) *tls.Config {
	t := &tls.Config{
		ServerName: hostOf(addr), MinVersion: tls.VersionTLS12, ClientSessionCache: sessions,
		DynamicRecordSizingDisabled: true, // as for clients: each record is a system call
		// Everything is verified below: most servers make their own certificates, which name no host.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does what the mode asks for
	}
	if chain, name := c.verifies(addr); chain {
		t.VerifyConnection = func(state tls.ConnectionState) error { return c.verify(addr, state.PeerCertificates, name) }
	}
	if c.Certificate != nil {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.Certificate(), nil }
	}
	return t
}

// verify checks the chain that the server at addr has shown. A certificate of a listed fingerprint needs nothing else.
func (c Config) verify(addr string, chain []*x509.Certificate, name bool) error {
	if len(chain) == 0 {
		return fmt.Errorf("server %s showed no certificate", addr)
	}
	if slices.Contains(c.Fingerprints, FingerprintOf(chain[0])) {
		return nil
	}
	untrusted := &UntrustedError{Addr: addr, Certificate: chain[0]}
	if len(c.Fingerprints) > 0 && c.Roots == nil {
		untrusted.Cause = errors.New("its fingerprint is not one of server_tls.fingerprints")
		return untrusted
	}
	options := x509.VerifyOptions{Intermediates: x509.NewCertPool()}
	if c.Roots != nil {
		options.Roots = c.Roots()
	}
	if name {
		options.DNSName = hostOf(addr)
	}
	for _, cert := range chain[1:] {
		options.Intermediates.AddCert(cert)
	}
	if _, err := chain[0].Verify(options); err != nil {
		untrusted.Cause = err
		return untrusted
	}
	return nil
}

// ClientTLS is the configuration for connections to addr (host:port) that others make, such as those of the control
// account, with the same verification. It is nil in mode TLSDisabled.
func (c Config) ClientTLS(addr string) *tls.Config {
	if c.TLS == TLSDisabled {
		return nil
	}
	return c.clientTLS(addr, nil)
}
