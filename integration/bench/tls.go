package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql/driver"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"
)

// tlsMode says which of a proxy's two sides use TLS.
type tlsMode int

const (
	plain tlsMode = iota
	clientTLS
	bothTLS
)

func (m tlsMode) String() string {
	return [...]string{"no TLS", "TLS to clients", "TLS to clients and servers"}[m]
}

// listenerTLS is what onewriter's configuration says of the client side.
func (r *rig) listenerTLS() string {
	if r.tls == plain {
		return `{mode: "off"}`
	}
	return fmt.Sprintf(`{mode: required, cert_file: %q, key_file: %q}`, r.certFile(), r.keyFile())
}

// server is the mode of the other side.
func (m tlsMode) server() string {
	if m == bothTLS {
		return "required"
	}
	return "off"
}

func (r *rig) certFile() string   { return filepath.Join(r.dir, "cert.pem") }
func (r *rig) keyFile() string    { return filepath.Join(r.dir, "key.pem") }
func (r *rig) bundleFile() string { return filepath.Join(r.dir, "bundle.pem") } // both, as HAProxy wants it

// makeCertificate makes one for servers and proxies alike.
func (r *rig) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return errors.Join(os.WriteFile(r.certFile(), cert, 0o600), os.WriteFile(r.keyFile(), secret, 0o600),
		os.WriteFile(r.bundleFile(), append(cert, secret...), 0o600))
}

// secured measures point selects and a large result with TLS on one side and on both.
func secured(ctx context.Context, r *rig, t *table) (err error) {
	defer func() { r.tls = plain }()
	for _, mode := range []tlsMode{clientTLS, bothTLS} {
		r.say("%s: %d rounds of 4 loads", mode, r.o.rounds)
		r.tls = mode
		if err := r.startProxies(ctx); err != nil {
			return err
		}
		if err := r.createSecuredTables(ctx); err != nil {
			return err
		}
		for round := range r.o.rounds {
			for _, l := range []pointLoad{{threads: 1}, {threads: 8}, {threads: 8, prepared: true}} {
				got, err := r.each(round, r.securedOnly(func(at *target) (samples, error) { return r.securedPoint(ctx, at, l) }))
				if err != nil {
					return err
				}
				t.add(fmt.Sprintf("%s: point select, %s, %s", mode, l.kind(), plural(l.threads, "thread")), got)
			}
			got, err := r.each(round, r.securedOnly(func(at *target) (samples, error) { return r.securedResult(ctx, at) }))
			if err != nil {
				return err
			}
			t.add(fmt.Sprintf("%s: %d MB in rows of %d bytes", mode, r.o.bytes/1000000, securedRow), got)
		}
	}
	return nil
}

// securedRow is the size of a row of the large result.
const securedRow = 1000

// createSecuredTables makes what the loads read, as far as no other part has.
func (r *rig) createSecuredTables(ctx context.Context) error {
	if err := r.createPoints(ctx); err != nil {
		return err
	}
	return r.createRows(ctx, securedRow)
}

// securedOnly leaves out the direct connection, which costs no proxy anything.
func (r *rig) securedOnly(fn func(*target) (samples, error)) func(*target) (samples, error) {
	return func(t *target) (samples, error) {
		if t.proc == 0 {
			return nil, nil
		}
		return fn(t)
	}
}

// secure adds TLS to how the driver reaches a target.
func (r *rig) secure(c *mysql.Config, t *target) {
	config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // made a moment ago, on this machine
	switch {
	case r.tls == plain:
	case t.tls:
		c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
		}
	default:
		c.TLS = config
	}
}

// securedPoint runs point selects from this process: sysbench can't reach a TLS terminator.
func (r *rig) securedPoint(ctx context.Context, t *target, l pointLoad) (samples, error) {
	conns, err := r.open(ctx, t, l.threads)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	before, err := t.proc.cpu()
	if err != nil {
		return nil, err
	}
	var total atomic.Int64
	began := time.Now()
	end := began.Add(r.o.time)
	var g errgroup.Group
	for i, c := range conns {
		g.Go(func() error {
			n, err := selectPoints(ctx, c, l.prepared, i, end)
			total.Add(int64(n))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := t.proc.cpu()
	n := float64(total.Load())
	return samples{
		{name: "queries/s", value: n / took.Seconds()},
		{name: "CPU µs/query", value: (after - before).Seconds() * 1e6 / n},
	}, err
}

// selectPoints reads rows by their key until end.
func selectPoints(ctx context.Context, c driver.Conn, prepared bool, seed int, end time.Time) (n int, err error) {
	var stmt driver.Stmt
	if prepared {
		if stmt, err = c.Prepare("SELECT c FROM sbtest1 WHERE id=?"); err != nil {
			return 0, err
		}
		defer func() { _ = stmt.Close() }()
	}
	for ; time.Now().Before(end); n++ {
		id := int64((seed*7919+n*31)%pointCount + 1)
		var rows driver.Rows
		if prepared {
			rows, err = stmt.(driver.StmtQueryContext).QueryContext(ctx, []driver.NamedValue{{Ordinal: 1, Value: id}})
		} else {
			rows, err = c.(driver.QueryerContext).QueryContext(ctx, fmt.Sprintf("SELECT c FROM sbtest1 WHERE id=%d", id), nil)
		}
		if err != nil {
			return n, err
		}
		if count, err := drain(rows); err != nil || count != 1 {
			return n, errors.Join(err, fmt.Errorf("row %d came %d times", id, count))
		}
	}
	return n, nil
}

// drain reads rows of one column to their end.
func drain(rows driver.Rows) (n int, err error) {
	dest := make([]driver.Value, 1)
	for ; ; n++ {
		if err := rows.Next(dest); errors.Is(err, io.EOF) {
			return n, rows.Close()
		} else if err != nil {
			return n, errors.Join(err, rows.Close())
		}
	}
}

// securedResult reads a large result through TLS.
func (r *rig) securedResult(ctx context.Context, t *target) (samples, error) {
	conns, err := r.open(ctx, t, 1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conns[0].Close() }()
	want := r.o.bytes / securedRow
	before, err := t.proc.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	rows, err := conns[0].(driver.QueryerContext).QueryContext(ctx, largeResult(securedRow, want), nil)
	if err != nil {
		return nil, err
	}
	n, err := drain(rows)
	if err != nil || n != want {
		return nil, errors.Join(err, fmt.Errorf("%d rows came, not %d", n, want))
	}
	took := time.Since(began)
	after, err := t.proc.cpu()
	bytes := float64(n * securedRow)
	return samples{
		{name: "MB/s", value: bytes / 1e6 / took.Seconds()},
		{name: "CPU s/GB", value: (after - before).Seconds() / bytes * 1e9},
	}, err
}
