package auth

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/onewriter/onewriter/internal/wire"
)

// The names of the plugins that this package speaks.
const (
	PluginNative  = "mysql_native_password"
	PluginSHA2    = "caching_sha2_password"
	PluginSHA256  = "sha256_password"
	PluginClear   = "mysql_clear_password"
	PluginEd25519 = "client_ed25519"
	PluginDialog  = "dialog" // of MariaDB's pam; only relayed
)

// NewSalt makes a scramble for a client: twenty printable characters, because servers end it with NUL, and MySQL
// servers avoid '$' in it.
func NewSalt() (salt [wire.SaltLen]byte) {
	var random [wire.SaltLen]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic(err) // documented never to happen
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i, b := range random {
		salt[i] = alphabet[b&63]
	}
	return salt
}

func sha1Sum(parts ...[]byte) (sum [sha1.Size]byte) {
	h := sha1.New()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

func sha256Sum(parts ...[]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// nativeReply is SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))).
func nativeReply(stage1, salt []byte) []byte {
	stage2 := sha1Sum(stage1)
	mask := sha1Sum(salt, stage2[:])
	reply := make([]byte, sha1.Size)
	subtle.XORBytes(reply, stage1, mask[:])
	return reply
}

// recoverNative gives SHA1(password) out of a client's reply if the password is the one of stage2, which is the
// account's SHA1(SHA1(password)).
func recoverNative(reply, salt []byte, stage2 [sha1.Size]byte) (stage1 [sha1.Size]byte, ok bool) {
	if len(reply) != sha1.Size {
		return stage1, false
	}
	mask := sha1Sum(salt, stage2[:])
	subtle.XORBytes(stage1[:], reply, mask[:])
	check := sha1Sum(stage1[:])
	return stage1, subtle.ConstantTimeCompare(check[:], stage2[:]) == 1
}

// sha2Reply is SHA256(password) XOR SHA256(SHA256(SHA256(password)) + salt), the fast reply.
func sha2Reply(password, salt []byte) []byte {
	once := sha256Sum(password)
	twice := sha256Sum(once[:])
	mask := sha256Sum(twice[:], salt)
	reply := make([]byte, sha256.Size)
	subtle.XORBytes(reply, once[:], mask[:])
	return reply
}

// explainsSHA2 reports whether reply was made with the password whose SHA256(SHA256(password)) is twice.
func explainsSHA2(reply, salt []byte, twice [sha256.Size]byte) bool {
	if len(reply) != sha256.Size {
		return false
	}
	mask := sha256Sum(twice[:], salt)
	var once [sha256.Size]byte
	subtle.XORBytes(once[:], reply, mask[:])
	check := sha256Sum(once[:])
	return subtle.ConstantTimeCompare(check[:], twice[:]) == 1
}
