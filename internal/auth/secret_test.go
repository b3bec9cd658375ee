package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	s := NewPassword([]byte("hunter2"))
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", struct{ S Secret }{s})
	}
	text, err := json.Marshal(map[string]any{"secret": s})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	log := zerolog.New(&out)
	log.Info().Interface("secret", s).Stringer("also", s).Msg("test")
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), fmt.Sprint(s.sealed)) {
		t.Fatal(out.String())
	}
	if !strings.Contains(out.String(), redacted) {
		t.Fatal("nothing says that it is redacted")
	}
}

func TestSealedIsNotPlainAndOpens(t *testing.T) {
	for _, password := range []string{"", "hunter2"} {
		s := NewPassword([]byte(password))
		if password != "" && bytes.Contains(s.sealed, []byte(password)) {
			t.Fatal("the password can be read")
		}
		if bytes.Equal(s.sealed, NewPassword([]byte(password)).sealed) {
			t.Fatal("equal passwords look equal")
		}
		var kept []byte
		if err := s.open(func(plain []byte) error {
			if string(plain) != password {
				t.Errorf("got %q", plain)
			}
			kept = plain
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsFunc(kept, func(r rune) bool { return r != 0 }) {
			t.Fatalf("the buffer still holds %q", kept)
		}
	}
	if err := (Secret{}).open(func([]byte) error { return nil }); !errors.Is(err, errSealBroken) {
		t.Fatalf("got %v", err)
	}
}

func TestSecretsKnowWhatTheyCanNot(t *testing.T) {
	salt := NewSalt()
	for name, c := range map[string]struct {
		secret Secret
		plugin string
	}{
		"relay":              {Secret{}, PluginNative},
		"hash for sha2":      {NewSHA1([20]byte{}), PluginSHA2},
		"clear without TLS":  {NewPassword([]byte("x")), PluginClear},
		"unknown plugin":     {NewPassword([]byte("x")), "authentication_kerberos_client"},
		"old password":       {NewPassword([]byte("x")), "mysql_old_password"},
		"hash as clear text": {NewSHA1([20]byte{}), PluginClear},
	} {
		_, err := c.secret.Answer(c.plugin, salt[:], false)
		if unsupported := (*UnsupportedPluginError)(nil); !errors.As(err, &unsupported) || unsupported.Plugin != c.plugin {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := NewSHA1([20]byte{}).Cleartext(); err == nil {
		t.Error("a hash gives a password")
	}
}
