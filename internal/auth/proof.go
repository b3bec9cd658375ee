package auth

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/onewriter/onewriter/internal/wire"
)

// proofSHA256 is the first byte of a proof: which hash it is made with.
const proofSHA256 = 1

// proof shows a client that whoever has the certificate (its DER form) knows the client's password: MariaDB from 11.4 on
// sends it as the text of the OK that ends a login, so that clients can trust certificates that servers made themselves
// (https://mariadb.org/mission-impossible-zero-configuration-ssl/; the layout is that of its Connector/Node.js 3.5). It
// is the hash of what the plugin keeps of the password, the salt that the client has answered, and the fingerprint of
// the certificate. Only mysql_native_password has one here; nil where there is none.
func (s Secret) proof(plugin string, salt, certificate []byte) []byte {
	if plugin != PluginNative || s.kind == KindNone {
		return nil
	}
	var out []byte
	err := s.open(func(plain []byte) error {
		stage1 := plain
		if s.kind == KindPassword {
			if len(plain) == 0 {
				return nil
			}
			sum := sha1Sum(plain)
			stage1 = sum[:]
		}
		stage2 := sha1Sum(stage1)
		print := sha256.Sum256(certificate)
		sum := sha256Sum(stage2[:], salt, print[:])
		out = append(append(out, proofSHA256), hex.EncodeToString(sum[:])...)
		return nil
	})
	if err != nil {
		return nil
	}
	return out
}

// Vouch adds to the payload of the OK for the client what proves that certificate, in DER form, was shown by somebody
// who knows its password. It is r.OK itself where no proof can be given.
func (r Result) Vouch(ok, certificate []byte) []byte {
	proof := r.Secret.proof(r.plugin, r.salt, certificate)
	if proof == nil {
		return ok
	}
	with, err := wire.WithInfo(ok, proof)
	if err != nil {
		return ok
	}
	return with
}
