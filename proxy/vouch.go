package proxy

import (
	"crypto/tls"
	"slices"
	"strconv"
	"strings"

	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/session"
)

// vouch adds to the OK of a login what clients of MariaDB 11.4 and newer want to see from a server whose certificate
// nobody has signed. certificate is the one that was in force before the handshake.
func (s *clientSession) vouch(ok []byte, result auth.Result, certificate *tls.Certificate, version string) []byte {
	if certificate == nil || certificate != s.certificate() || !vouches(version) {
		return ok
	}
	return result.Vouch(ok, certificate.Certificate[0])
}

// certificate is what the listener shows now, nil without TLS.
func (s *clientSession) certificate() *tls.Certificate {
	config := s.listener.config.TLS
	if config == nil || config.GetCertificate == nil {
		return nil
	}
	certificate, err := config.GetCertificate(nil)
	if err != nil {
		return nil
	}
	return certificate
}

// vouches reports whether a server of the version proves that it knows the client's password: MariaDB from 11.4.1 on.
func vouches(version string) bool {
	return flavorOf(version) == session.MariaDB && from(version, 11, 4, 1)
}

// releasesLocks reports whether a server of the version has RELEASE_ALL_LOCKS().
func releasesLocks(version string) bool {
	if flavorOf(version) == session.MariaDB {
		return from(version, 10, 5, 2)
	}
	return from(version, 5, 7, 5)
}

// from reports whether a version, as servers greet with it, is at least that of the numbers.
func from(version string, numbers ...int) bool {
	var part [3]int
	for i, text := range strings.SplitN(strings.TrimPrefix(version, "5.5.5-"), ".", 3) {
		digits := 0
		for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
			digits++
		}
		part[i], _ = strconv.Atoi(text[:digits])
	}
	return slices.Compare(part[:], numbers) >= 0
}
