package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/certs"
)

// serverTLSMode carries the configured mode over to package backend.
func serverTLSMode(m conf.TLSMode) backend.TLSMode {
	switch m {
	case conf.TLSOff:
		return backend.TLSDisabled
	case conf.TLSPreferred:
		return backend.TLSPreferred
	case conf.TLSRequired:
		return backend.TLSRequired
	case conf.TLSVerifyCA:
		return backend.TLSVerifyCA
	case conf.TLSVerifyFull:
		return backend.TLSVerifyFull
	case conf.TLSVerify:
		return backend.TLSVerify
	default:
		return backend.TLSVerify
	}
}

// serverTLS is how connections to servers are protected, whoever makes them; set keeps the files fresh.
func serverTLS(c conf.ServerTLS, set *certs.Set) (out backend.Config, err error) {
	out.TLS = serverTLSMode(c.Mode)
	if c.CAFile != "" {
		roots, err := set.Authorities(c.CAFile)
		if err != nil {
			return out, fmt.Errorf("server_tls.ca_file: %w", err)
		}
		out.Roots = roots.Pool
	}
	if c.CertFile != "" {
		identity, err := set.Identity(c.CertFile, c.KeyFile)
		if err != nil {
			return out, fmt.Errorf("server_tls.cert_file: %w", err)
		}
		out.Certificate = identity.Certificate
	}
	for _, text := range c.Fingerprints {
		f, err := backend.ParseFingerprint(text)
		if err != nil {
			return out, fmt.Errorf("server_tls.fingerprints: %w", err)
		}
		out.Fingerprints = append(out.Fingerprints, f)
	}
	return out, nil
}

// listenerTLS is what clients of a listener are offered; nil offers no TLS.
func listenerTLS(c conf.ListenerTLS, keys *auth.Keys, set *certs.Set) (*tls.Config, error) {
	if c.Mode == conf.TLSOff {
		return nil, nil //nolint:nilnil // no configuration means no TLS
	}
	certificate := keys.Certificate
	if c.CertFile != "" {
		identity, err := set.Identity(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		certificate = identity.Certificate
	}
	if c.ClientCAFile == "" {
		return auth.ServerTLS(certificate), nil
	}
	clients, err := set.Authorities(c.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("tls.client_ca_file: %w", err)
	}
	return auth.ServerMutualTLS(certificate, clients.Pool, c.ClientCertificate == conf.ClientCertificateRequired), nil
}

// watchCertificates keeps the certificates fresh until ctx is done, and looks at once on SIGHUP.
func watchCertificates(ctx context.Context, set *certs.Set) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	done := make(chan error, 1)
	go func() { done <- set.Run(ctx) }()
	for {
		select {
		case <-hangups:
			set.Reload()
		case err := <-done:
			return err
		}
	}
}

// certificateMetrics exports what certs.Set.Status says.
type certificateMetrics struct {
	set             *certs.Set
	expires, failed *prometheus.Desc
}

func newCertificateMetrics(set *certs.Set) *certificateMetrics {
	return &certificateMetrics{
		set:     set,
		expires: prometheus.NewDesc("onewriter_certificate_expiry_timestamp_seconds", "When the certificate in force expires; of a file of authorities the first.", []string{"file"}, nil),
		failed:  prometheus.NewDesc("onewriter_certificate_unusable", "1 while the file as it is now can't be used, so that what was read from it before stays in force.", []string{"file"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *certificateMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.expires
	out <- m.failed
}

// Collect implements prometheus.Collector. A file that is used several times counts once.
func (m *certificateMetrics) Collect(out chan<- prometheus.Metric) {
	seen := map[string]bool{}
	for _, st := range m.set.Status() {
		if seen[st.Name] {
			continue
		}
		seen[st.Name] = true
		failed := 0.0
		if st.Err != nil {
			failed = 1
		}
		out <- prometheus.MustNewConstMetric(m.expires, prometheus.GaugeValue, float64(st.Expires.Unix()), st.Name)
		out <- prometheus.MustNewConstMetric(m.failed, prometheus.GaugeValue, failed, st.Name)
	}
}

// noSet is for commands that read the files once.
func noSet() *certs.Set { return certs.NewSet(zerolog.Nop()) }

// keysOf gives what a cluster shows of itself to clients, where listeners have nothing else.
func keysOf(c conf.Cluster) (*auth.Keys, error) {
	if c.RSAKeyFile == "" {
		return auth.NewKeys()
	}
	pem, err := os.ReadFile(c.RSAKeyFile)
	if err != nil {
		return nil, fmt.Errorf("rsa_key_file: %w", err)
	}
	keys, err := auth.KeysFrom(pem)
	if err != nil {
		return nil, fmt.Errorf("rsa_key_file %s: %w", c.RSAKeyFile, err)
	}
	return keys, nil
}
