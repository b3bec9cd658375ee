package conf

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// fingerprintLen is the length of a SHA-256 in bytes.
const fingerprintLen = 32

// identity checks a certificate and its key.
func (v *validator) identity(path string, cert, key *string) {
	v.file(path+".cert_file", cert)
	v.file(path+".key_file", key)
	if (*cert == "") != (*key == "") {
		v.fail(path, "set both or none", "has only one of cert_file and key_file")
	}
}

// useless refuses a key that has no meaning with mode: off.
func (v *validator) useless(path, key string, mode TLSMode, set bool) {
	if mode == TLSOff && set {
		v.fail(path+"."+key, "remove it, or choose another mode", "has no meaning with mode: off")
	}
}

func (v *validator) listenerTLS(path string, t *ListenerTLS) {
	v.identity(path, &t.CertFile, &t.KeyFile)
	v.file(path+".client_ca_file", &t.ClientCAFile)
	v.useless(path, "cert_file", t.Mode, t.CertFile != "")
	v.useless(path, "client_ca_file", t.Mode, t.ClientCAFile != "")
	switch {
	case t.ClientCAFile == "" && t.ClientCertificate != "":
		v.fail(path+".client_certificate", "set client_ca_file", "says nothing without the authorities to check certificates against")
	case t.ClientCAFile != "" && t.ClientCertificate == "":
		t.ClientCertificate = ClientCertificateRequired
	}
	if t.ClientCertificate == ClientCertificateRequired && t.Mode == TLSPreferred {
		v.fail(path+".mode", "write mode: required, or client_certificate: optional", "is preferred, so that clients could do without TLS and with it without the certificate they need")
	}
}

func (v *validator) serverTLS(path string, t *ServerTLS) {
	v.file(path+".ca_file", &t.CAFile)
	v.identity(path, &t.CertFile, &t.KeyFile)
	v.useless(path, "ca_file", t.Mode, t.CAFile != "")
	v.useless(path, "cert_file", t.Mode, t.CertFile != "")
	v.useless(path, "fingerprints", t.Mode, len(t.Fingerprints) > 0)
	for i, f := range t.Fingerprints {
		if b, err := hex.DecodeString(strings.ReplaceAll(f, ":", "")); err != nil || len(b) != fingerprintLen {
			v.fail(fmt.Sprintf("%s.fingerprints[%d]", path, i), "take it from `onewriter config fingerprints`", "%q is no SHA-256 fingerprint", f)
		}
	}
}
