package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Identity is a certificate with its chain and its private key.
type Identity struct {
	now atomic.Pointer[tls.Certificate]
}

// Identity reads a certificate chain and its key, both PEM, and keeps them fresh.
func (s *Set) Identity(certFile, keyFile string) (*Identity, error) {
	i := &Identity{}
	err := s.add(func(contents [][]byte) (time.Time, error) {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return time.Time{}, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
		}
		// At start an expired one is better than none: most clients do not look.
		if expires := pair.Leaf.NotAfter; i.now.Load() != nil && time.Now().After(expires) {
			return time.Time{}, fmt.Errorf("certificate %s: it expired at %s", certFile, expires.Format(time.RFC3339))
		}
		i.now.Store(&pair)
		return pair.Leaf.NotAfter, nil
	}, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return i, nil
}

// Certificate is what is in force. The caller must not change it.
func (i *Identity) Certificate() *tls.Certificate { return i.now.Load() }

// Authorities are the certificates that others' must be signed by.
type Authorities struct {
	now atomic.Pointer[x509.CertPool]
}

// Authorities reads a PEM file of one or more certificates and keeps it fresh.
func (s *Set) Authorities(file string) (*Authorities, error) {
	a := &Authorities{}
	err := s.add(func(contents [][]byte) (time.Time, error) {
		pool, expires, err := parseAuthorities(contents[0])
		if err != nil {
			return time.Time{}, fmt.Errorf("authorities %s: %w", file, err)
		}
		a.now.Store(pool)
		return expires, nil
	}, file)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Pool is what is in force. The caller must not change it.
func (a *Authorities) Pool() *x509.CertPool { return a.now.Load() }

// parseAuthorities gives the certificates of a PEM file and when the first of them expires. One that has expired is no
// error: others may be there for the time after.
func parseAuthorities(text []byte) (*x509.CertPool, time.Time, error) {
	pool := x509.NewCertPool()
	var expires time.Time
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, expires, err
		}
		pool.AddCert(cert)
		if expires.IsZero() || cert.NotAfter.Before(expires) {
			expires = cert.NotAfter
		}
	}
	if expires.IsZero() {
		return nil, expires, errors.New("there is no certificate in it")
	}
	return pool, expires, nil
}
