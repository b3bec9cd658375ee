package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/conf"
)

func newConfigFingerprintsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "fingerprints [FILE]",
		Short: "Show the certificates of the servers, and the lines of configuration that trust them",
		Long: "Ask every server for its certificate, without logging in, and print what it says with its SHA-256 fingerprint.\n" +
			"Compare the fingerprints with those at the servers before you trust them:\n" +
			"  openssl x509 -noout -fingerprint -sha256 -in server-cert.pem",
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := conf.Load(fileArgument(args))
			if err != nil {
				return err
			}
			var errs []error
			for _, c := range cfg.Clusters {
				errs = append(errs, printFingerprints(cmd.Context(), cmd.OutOrStdout(), c))
			}
			return errors.Join(errs...)
		},
	}
}

func printFingerprints(ctx context.Context, w io.Writer, c conf.Cluster) error {
	dialer := backend.New(backend.Config{Timeout: c.Limits.ConnectTimeout})
	defer dialer.Close()
	var errs []error
	found := ""
	for _, i := range instances(c) {
		chain, err := dialer.ServerCertificates(ctx, i.Address)
		if err != nil {
			errs = append(errs, fmt.Errorf("server %s (%s): %w", i.Name, i.Address, err))
			continue
		}
		leaf := chain[0]
		if _, err := fmt.Fprintf(w, "# server %s (%s)\n#   subject  %s\n#   issuer   %s\n#   expires  %s\n",
			i.Name, i.Address, leaf.Subject, leaf.Issuer, leaf.NotAfter.Format("2006-01-02")); err != nil {
			return err
		}
		line := fmt.Sprintf("        - %q\n", backend.FingerprintOf(leaf))
		if !strings.Contains(found, line) {
			found += line
		}
	}
	if found != "" {
		if _, err := fmt.Fprintf(w, "# cluster %s\n    server_tls:\n      fingerprints:\n%s", c.Name, found); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}
