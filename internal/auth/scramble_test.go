package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

func TestScramblesAgreeWithOracle(t *testing.T) {
	for _, password := range []string{"a", "secret", "pässwörd", string(bytes.Repeat([]byte("x"), 200))} {
		salt := NewSalt()
		secret := NewPassword([]byte(password))
		for plugin, want := range map[string][]byte{
			PluginNative: mysql.CalcNativePassword(salt[:], []byte(password)),
			PluginSHA2:   mysql.CalcCachingSha2Password(salt[:], []byte(password)),
		} {
			got, err := secret.Answer(plugin, salt[:], false)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: got %x, %v; want %x", plugin, got, err, want)
			}
		}
		nonce := make([]byte, 32)
		_, _ = rand.Read(nonce)
		want, err := mysql.CalcEd25519Password(nonce, password)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := secret.Answer(PluginEd25519, nonce, false); err != nil || !bytes.Equal(got, want) {
			t.Errorf("ed25519: got %x, %v; want %x", got, err, want)
		}
	}
}

func TestNativeIsRecovered(t *testing.T) {
	salt := NewSalt()
	stage1 := sha1Sum([]byte("secret"))
	stage2 := sha1Sum(stage1[:])
	reply := mysql.CalcNativePassword(salt[:], []byte("secret"))
	got, ok := recoverNative(reply, salt[:], stage2)
	if !ok || got != stage1 {
		t.Fatalf("got %x, %v", got, ok)
	}
	// What was recovered logs in with any other salt.
	other := NewSalt()
	answer, err := NewSHA1(got).Answer(PluginNative, other[:], false)
	if err != nil || !bytes.Equal(answer, mysql.CalcNativePassword(other[:], []byte("secret"))) {
		t.Fatalf("got %x, %v", answer, err)
	}
	reply[3] ^= 1
	if _, ok := recoverNative(reply, salt[:], stage2); ok {
		t.Fatal("a wrong reply is accepted")
	}
	if _, ok := recoverNative(reply[:19], salt[:], stage2); ok {
		t.Fatal("a short reply is accepted")
	}
}

func TestFullPasswordByRSA(t *testing.T) {
	keys, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	for kind, block := range map[string]*pem.Block{
		"PKCS #1": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(keys.rsa)},
		"PKCS #8": {Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(keys.rsa))},
	} {
		again, err := KeysFrom(pem.EncodeToMemory(block))
		if err != nil || !bytes.Equal(again.PublicPEM(), keys.PublicPEM()) {
			t.Errorf("%s: another key, %v", kind, err)
		}
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "a public key": keys.PublicPEM(),
		"an elliptic key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(keys.certificate.PrivateKey))}),
	} {
		if _, err := KeysFrom(text); err == nil {
			t.Errorf("%s is taken for a private RSA key", name)
		}
	}
	salt := NewSalt()
	encrypted, err := NewPassword([]byte("secret")).Encrypted(salt[:], keys.PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keys.decrypt(encrypted, salt[:]); err != nil || string(got) != "secret" {
		t.Fatalf("got %q, %v", got, err)
	}
	public, err := parsePublicKey(keys.PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	if encrypted, err = mysql.EncryptPassword("other", salt[:], public); err != nil {
		t.Fatal(err)
	}
	if got, err := keys.decrypt(encrypted, salt[:]); err != nil || string(got) != "other" {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, bad := range [][]byte{nil, []byte("clear\x00"), make([]byte, 256)} {
		if got, err := keys.decrypt(bad, salt[:]); err == nil {
			t.Fatalf("%x gives %q", bad, got)
		}
	}
}

func TestSaltsHaveNothingThatServersAvoid(t *testing.T) {
	seen := map[[20]byte]bool{}
	for range 1000 {
		salt := NewSalt()
		if seen[salt] || bytes.ContainsAny(salt[:], "\x00$") {
			t.Fatalf("salt %q", salt)
		}
		seen[salt] = true
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
