package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // OAEP with SHA-1 is what the protocol demands
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	rsaBits = 2048

	// Clients without TLS ask for the RSA key with one byte, each plugin with its own.
	keyRequestSHA2   = 0x02
	keyRequestSHA256 = 0x01

	certificateLife = 10 * 365 * 24 * time.Hour
)

// Keys are what the proxy shows of itself to clients. They are immutable.
type Keys struct {
	rsa         *rsa.PrivateKey
	publicPEM   []byte
	certificate tls.Certificate
}

// NewKeys makes an RSA key, for passwords of clients without TLS, and a self-signed certificate, as mysqld does at its first start.
func NewKeys() (*Keys, error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("RSA key: %w", err)
	}
	return keysWith(key)
}

// KeysFrom is NewKeys with the private RSA key that text holds in PEM form (PKCS #1 or #8), as servers keep theirs.
func KeysFrom(text []byte) (*Keys, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it has no key in PEM form")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return keysWith(key)
	}
	some, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("it has a %s, not a private RSA key: %w", block.Type, err)
	}
	key, ok := some.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it has a key of another kind (%T), not RSA", some)
	}
	return keysWith(key)
}

func keysWith(key *rsa.PrivateKey) (*Keys, error) {
	k := &Keys{rsa: key}
	der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("RSA key: %w", err)
	}
	k.publicPEM = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if k.certificate, err = selfSigned(time.Now()); err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	return k, nil
}

// Certificate is the TLS certificate. The caller must not change it.
func (k *Keys) Certificate() *tls.Certificate { return &k.certificate }

// ServerTLS gives the configuration for clients that ask for TLS: 1.2 or newer.
func (k *Keys) ServerTLS() *tls.Config { return ServerTLS(k.Certificate) }

// ServerTLS gives the configuration for clients that ask for TLS, 1.2 or newer; certificate is asked at each handshake.
// No protocols are offered by ALPN, which no client of this protocol needs, and no server name is expected.
func ServerTLS(certificate func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate(), nil },
		MinVersion:     tls.VersionTLS12,
		// Small records at first help browsers to begin early; here each record is a system call.
		DynamicRecordSizingDisabled: true,
	}
}

// ServerMutualTLS is ServerTLS for clients with a certificate that one of the authorities has signed, which are asked
// at each handshake too. required refuses clients without one. No session is resumed: the authorities may have changed.
func ServerMutualTLS(certificate func() *tls.Certificate, authorities func() *x509.CertPool, required bool) *tls.Config {
	config := ServerTLS(certificate)
	config.SessionTicketsDisabled = true
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if required {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	base := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := base.Clone()
		now.ClientCAs = authorities()
		return now, nil
	}
	return config
}

// PublicPEM is the public RSA key as clients get it. The caller must not change it.
func (k *Keys) PublicPEM() []byte { return k.publicPEM }

// decrypt opens a password that a client encrypted with our RSA key and masked with salt. The result has no
// terminator; the caller zeroes it.
func (k *Keys) decrypt(encrypted, salt []byte) ([]byte, error) {
	plain, err := k.rsa.Decrypt(rand.Reader, encrypted, &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1})
	if err != nil {
		return nil, err
	}
	xorSalt(plain, salt)
	if len(plain) == 0 || plain[len(plain)-1] != 0 {
		clear(plain)
		return nil, errors.New("password without terminator")
	}
	return plain[:len(plain)-1], nil
}

// selfSigned makes a certificate that clients which do not verify accept, the default of most MySQL clients.
func selfSigned(now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Onewriter self-signed"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
