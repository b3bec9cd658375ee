package certs

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/internal/certtest"
)

func TestChangedFilesAreTaken(t *testing.T) {
	var log bytes.Buffer
	set := NewSet(zerolog.New(&log))
	ca := certtest.New(t)
	certFile, keyFile := ca.Issue("one")
	id, err := set.Identity(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := set.Authorities(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	first, pool := id.Certificate(), roots.Pool()
	set.look()
	if id.Certificate() != first || roots.Pool() != pool || log.Len() != 0 {
		t.Fatalf("unchanged files were taken again: %s", &log)
	}

	ca.Issue("one")
	set.look()
	second := id.Certificate()
	if bytes.Equal(second.Certificate[0], first.Certificate[0]) {
		t.Fatal("the new certificate is not in force")
	}
	if !strings.Contains(log.String(), "in force") || roots.Pool() != pool {
		t.Fatalf("log: %s", &log)
	}
}

func TestBrokenFilesChangeNothing(t *testing.T) {
	ca := certtest.New(t)
	certFile, keyFile := ca.Issue("one")
	otherCert, _ := ca.Issue("two")
	other, err := os.ReadFile(otherCert)
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, breakIt := range map[string]func() error{
		"garbage":         func() error { return os.WriteFile(certFile, []byte("garbage"), 0o600) },
		"empty":           func() error { return os.WriteFile(certFile, nil, 0o600) },
		"of another key":  func() error { return os.WriteFile(certFile, other, 0o600) },
		"removed":         func() error { return os.Remove(certFile) },
		"cut off":         func() error { return os.WriteFile(certFile, good[:len(good)/2], 0o600) },
		"far too long":    func() error { return os.Truncate(certFile, maxFile+1) },
		"not to be named": func() error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(certFile, good, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			set := NewSet(zerolog.New(&log))
			id, err := set.Identity(certFile, keyFile)
			if err != nil {
				t.Fatal(err)
			}
			before := id.Certificate()
			if err := breakIt(); err != nil {
				t.Fatal(err)
			}
			set.look()
			set.look()
			if name == "not to be named" {
				if log.Len() > 0 || set.Status()[0].Err != nil {
					t.Fatalf("%+v, log %s", set.Status(), &log)
				}
				return
			}
			if id.Certificate() != before {
				t.Fatal("it is in force")
			}
			if st := set.Status()[0]; st.Err == nil || !st.Expires.Equal(before.Leaf.NotAfter) {
				t.Fatalf("%+v", st)
			}
			if n := strings.Count(log.String(), "not usable"); n != 1 {
				t.Fatalf("said %d times: %s", n, &log)
			}
			if err := os.WriteFile(certFile, good, 0o600); err != nil {
				t.Fatal(err)
			}
			set.look()
			if st := set.Status()[0]; st.Err != nil {
				t.Fatalf("the old file came back: %+v", st)
			}
		})
	}
}

func TestFirstReadFails(t *testing.T) {
	set := NewSet(zerolog.Nop())
	ca := certtest.New(t)
	certFile, keyFile := ca.Issue("one")
	if _, err := set.Identity(certFile, ca.File); err == nil {
		t.Error("a key that is none")
	}
	if _, err := set.Identity("nowhere", keyFile); err == nil {
		t.Error("no file")
	}
	if _, err := set.Authorities(keyFile); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("authorities without a certificate: %v", err)
	}
	if len(set.Status()) != 0 {
		t.Errorf("%+v", set.Status())
	}
}
