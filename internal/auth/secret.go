package auth

// Kind says what a Secret is made of.
type Kind uint8

// The kinds of secrets.
const (
	KindNone     Kind = iota // nothing is known: the client itself must answer the server (relay)
	KindSHA1                 // SHA1(password): enough for mysql_native_password everywhere
	KindPassword             // the password
)

// String gives the lower-case name.
func (k Kind) String() string {
	switch k {
	case KindSHA1:
		return "sha1"
	case KindPassword:
		return "password"
	case KindNone:
		return "none"
	default:
		return "none"
	}
}

const redacted = "[redacted]"

// Secret is what a session needs to log in as its user: sealed in memory, never printed. It is immutable; the zero
// value has KindNone.
type Secret struct {
	kind   Kind
	sealed []byte
}

// NewPassword seals a password, which may be empty. The caller keeps plain.
func NewPassword(plain []byte) Secret { return Secret{kind: KindPassword, sealed: seal(plain)} }

// NewSHA1 seals SHA1(password).
func NewSHA1(stage1 [20]byte) Secret { return Secret{kind: KindSHA1, sealed: seal(stage1[:])} }

// Kind says what the secret is made of.
func (s Secret) Kind() Kind { return s.kind }

// CanMove reports whether the secret can log in elsewhere without asking the client.
func (s Secret) CanMove() bool { return s.kind != KindNone }

// String hides the secret.
func (s Secret) String() string { return redacted }

// GoString hides the secret.
func (s Secret) GoString() string { return redacted }

// MarshalText hides the secret, in JSON too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// open calls fn with the plain text, which fn must not keep.
func (s Secret) open(fn func(plain []byte) error) error { return unseal(s.sealed, fn) }
