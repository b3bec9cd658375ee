package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// UnsupportedPluginError says that a secret can't answer for a plugin: the client itself would have to.
type UnsupportedPluginError struct {
	Plugin string
	Reason string
	// Insecure says that the password would be sent as it is over a connection without TLS.
	Insecure bool
	// Refusal is what the server said in the end, nil if it did not get to it.
	Refusal error
}

// Error names the plugin and the reason.
func (e *UnsupportedPluginError) Error() string {
	return fmt.Sprintf("can't log in with plugin %q: %s", e.Plugin, e.Reason)
}

// Unwrap gives the server's refusal.
func (e *UnsupportedPluginError) Unwrap() error { return e.Refusal }

// Answer gives the first reply to a server that asks with plugin and salt. secure tells whether the connection to the
// server is TLS. An empty password answers with an empty reply. The error is an *UnsupportedPluginError, or that the
// secret does not open.
func (s Secret) Answer(plugin string, salt []byte, secure bool) ([]byte, error) {
	if s.kind == KindNone {
		return nil, &UnsupportedPluginError{Plugin: plugin, Reason: "only the client knows the secret"}
	}
	var reply []byte
	err := s.open(func(plain []byte) (err error) {
		if s.kind == KindSHA1 {
			reply, err = answerSHA1(plain, plugin, salt)
		} else {
			reply, err = answerPassword(plain, plugin, salt, secure)
		}
		return err
	})
	return reply, err
}

func answerSHA1(stage1 []byte, plugin string, salt []byte) ([]byte, error) {
	if plugin != PluginNative {
		return nil, &UnsupportedPluginError{Plugin: plugin, Reason: "only SHA1 of the password is known"}
	}
	return nativeReply(stage1, salt), nil
}

func answerPassword(password []byte, plugin string, salt []byte, secure bool) ([]byte, error) {
	if len(password) == 0 && (plugin == PluginNative || plugin == PluginSHA2) {
		return nil, nil
	}
	switch plugin {
	case PluginNative:
		stage1 := sha1Sum(password)
		return nativeReply(stage1[:], salt), nil
	case PluginSHA2:
		return sha2Reply(password, salt), nil
	case PluginEd25519:
		return ed25519Reply(password, salt)
	case PluginSHA256:
		if secure || len(password) == 0 {
			return terminated(password), nil
		}
		return []byte{keyRequestSHA256}, nil
	case PluginClear:
		if !secure {
			return nil, &UnsupportedPluginError{Plugin: plugin, Reason: "the connection to the server is not encrypted", Insecure: true}
		}
		return terminated(password), nil
	default:
		return nil, &UnsupportedPluginError{Plugin: plugin, Reason: "not known here"}
	}
}

// Cleartext gives the password with its terminator, for a server that wants it over TLS.
func (s Secret) Cleartext() ([]byte, error) {
	if s.kind != KindPassword {
		return nil, &UnsupportedPluginError{Plugin: PluginSHA2, Reason: "the password is not known"}
	}
	var password []byte
	err := s.open(func(plain []byte) error {
		password = terminated(plain)
		return nil
	})
	return password, err
}

// terminated copies a password with the NUL that ends it, in one piece of memory: appending could leave another copy.
func terminated(password []byte) []byte {
	out := make([]byte, len(password)+1)
	copy(out, password)
	return out
}

// Encrypted gives the password for a server that wants it encrypted with its RSA key, given as PEM.
func (s Secret) Encrypted(salt, publicPEM []byte) ([]byte, error) {
	key, err := parsePublicKey(publicPEM)
	if err != nil {
		return nil, err
	}
	masked, err := s.Cleartext()
	if err != nil {
		return nil, err
	}
	defer clear(masked)
	xorSalt(masked, salt)
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, key, masked, nil)
}

func parsePublicKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("server's RSA key: no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("server's RSA key: %w", err)
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("server's RSA key: another kind of key")
	}
	return public, nil
}

// xorSalt masks b with the salt, repeated.
func xorSalt(b, salt []byte) {
	if len(salt) == 0 {
		return
	}
	for i := range b {
		b[i] ^= salt[i%len(salt)]
	}
}
