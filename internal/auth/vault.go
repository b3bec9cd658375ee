package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"sync"
)

const (
	keyLen   = 32
	nonceLen = 12
)

var errSealBroken = errors.New("sealed secret does not open")

// processKey is the key that seals every secret of this process. It is made at first use and lives in a page that is
// neither swapped nor dumped where the system can do that.
var processKey = sync.OnceValue(func() []byte {
	key := lockedPage(keyLen)
	if _, err := rand.Read(key); err != nil {
		panic(err) // documented never to happen: crypto/rand ends the program itself
	}
	return key
})

func sealer() (cipher.AEAD, error) {
	block, err := aes.NewCipher(processKey())
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal encrypts plain. An error would mean a broken crypto library; the result is then empty and opens never.
func seal(plain []byte) []byte {
	aead, err := sealer()
	if err != nil {
		return nil
	}
	sealed := make([]byte, nonceLen, nonceLen+len(plain)+aead.Overhead())
	if _, err := rand.Read(sealed); err != nil {
		return nil
	}
	return aead.Seal(sealed, sealed, plain, nil)
}

// unseal calls fn with the plain text, which is zeroed afterwards: fn must not keep it.
func unseal(sealed []byte, fn func(plain []byte) error) error {
	aead, err := sealer()
	if err != nil {
		return err
	}
	if len(sealed) < nonceLen {
		return errSealBroken
	}
	plain, err := aead.Open(nil, sealed[:nonceLen], sealed[nonceLen:], nil)
	if err != nil {
		return errSealBroken
	}
	defer clear(plain)
	return fn(plain)
}
