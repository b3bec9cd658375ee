package conf

// TLSMode says whether connections are encrypted.
type TLSMode string

// The TLS modes. The verifying ones are for connections to servers only.
const (
	TLSOff        TLSMode = "off"         // never
	TLSPreferred  TLSMode = "preferred"   // when the other side can
	TLSRequired   TLSMode = "required"    // always, else the connection is refused
	TLSVerify     TLSMode = "verify"      // always, and the certificate is verified; but for servers on this machine
	TLSVerifyCA   TLSMode = "verify-ca"   // always, and the certificate must be signed by a known authority
	TLSVerifyFull TLSMode = "verify-full" // as TLSVerifyCA, and the certificate must name the host
)

// ClientCertificate says whether clients need a certificate.
type ClientCertificate string

// What a listener with client_ca_file wants of its clients.
const (
	ClientCertificateOptional ClientCertificate = "optional" // one that is shown must be good
	ClientCertificateRequired ClientCertificate = "required" // nobody gets in without
)

// ListenerTLS is the encryption between clients and a listener. Files are read again when they change, and on SIGHUP;
// connections that are open stay as they are.
type ListenerTLS struct {
	// Mode is `off`, `preferred` (clients that ask for TLS get it) or `required` (the others are refused).
	Mode TLSMode `yaml:"mode" default:"preferred" enum:"off,preferred,required"`
	// CertFile is the certificate chain in PEM form. Without one, a self-signed certificate is made at each start, as
	// the database servers do.
	CertFile string `yaml:"cert_file"`
	// KeyFile is the private key of `cert_file` in PEM form.
	KeyFile string `yaml:"key_file"`
	// ClientCAFile holds the certificates of the authorities that clients' certificates must be signed by, in PEM
	// form. Without it clients are not asked for one.
	ClientCAFile string `yaml:"client_ca_file"`
	// ClientCertificate is `required` (clients without a good certificate are refused; it needs `mode: required`) or
	// `optional` (one that is shown must be good). Only with `client_ca_file`, where the default is `required`.
	ClientCertificate ClientCertificate `yaml:"client_certificate,omitempty" enum:"optional,required"`
}

// ServerTLS is the encryption between onewriter and the servers. Files are read again when they change, and on SIGHUP;
// connections that are open stay as they are.
type ServerTLS struct {
	// Mode is `verify` (TLS always, and the certificate is verified: against `ca_file` and `fingerprints`, or without
	// them against the authorities of the operating system and the host's name; a server on this machine's loopback
	// is exempt as long as neither is set), `off`, `preferred` (used when the server offers it), `required` (always),
	// `verify-ca` (always, and the certificate must be signed by a known authority) or `verify-full` (as `verify-ca`,
	// and it must name the host).
	Mode TLSMode `yaml:"mode" default:"verify" enum:"verify,off,preferred,required,verify-ca,verify-full"`
	// CAFile holds the certificates of the authorities to trust, in PEM form; for certificates that servers made
	// themselves it is their `ssl_ca`. When it is set, certificates are checked against it in every mode but `off`.
	// Without it `verify`, `verify-ca` and `verify-full` trust the authorities of the operating system.
	CAFile string `yaml:"ca_file"`
	// Fingerprints are SHA-256 fingerprints of server certificates that are trusted as they are, whoever signed them.
	// `onewriter config fingerprints` shows what the servers have.
	Fingerprints []string `yaml:"fingerprints"`
	// CertFile is the certificate that onewriter shows to servers, in PEM form. Accounts with REQUIRE X509 need it:
	// what a client shows to onewriter can't be passed on.
	CertFile string `yaml:"cert_file"`
	// KeyFile is the private key of `cert_file` in PEM form.
	KeyFile string `yaml:"key_file"`
}
