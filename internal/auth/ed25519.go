package auth

import (
	"crypto/sha512"

	"filippo.io/edwards25519"
)

// ed25519Reply signs the salt as MariaDB's client_ed25519 does: Ed25519 with SHA512(password) where the standard
// expands a seed (https://mariadb.com/kb/en/authentication-plugin-ed25519/).
func ed25519Reply(password, salt []byte) ([]byte, error) {
	expanded := sha512.Sum512(password)
	defer clear(expanded[:])
	secret, err := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
	if err != nil {
		return nil, err
	}
	public := new(edwards25519.Point).ScalarBaseMult(secret).Bytes()

	nonce, err := hashToScalar(expanded[32:], salt)
	if err != nil {
		return nil, err
	}
	commitment := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	challenge, err := hashToScalar(commitment, public, salt)
	if err != nil {
		return nil, err
	}
	response := challenge.MultiplyAdd(challenge, secret, nonce)
	return append(commitment, response.Bytes()...), nil
}

func hashToScalar(parts ...[]byte) (*edwards25519.Scalar, error) {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
}
