package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/onewriter/onewriter/admin"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/failover"
	"github.com/onewriter/onewriter/internal/auth"
	"github.com/onewriter/onewriter/internal/certs"
)

func newServeCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:        "serve",
		SuggestFor: []string{"run", "start"},
		Short:      "Run the proxy",
		Long: "Run the proxy with everything that the configuration describes, until SIGTERM or Ctrl-C: then new clients are refused, open\n" +
			"transactions may finish (shutdown.grace), and an operation in progress is brought to its end. SIGHUP reads certificates\n" +
			"again; other changes of the configuration need a restart. The log goes to the standard error.",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conf.Load(config)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", defaultConfig, "configuration file")
	return cmd
}

// serve runs everything that c describes until ctx is done.
func serve(ctx context.Context, c *conf.Config, stderr io.Writer) error {
	log, err := newLogger(c.Log, stderr)
	if err != nil {
		return err
	}
	for _, w := range c.Warnings {
		log.Warn().Str("problem", w.String()).Msg("configuration warning")
	}
	if err := auth.DisableCoreDumps(); err != nil {
		log.Warn().Err(err).Msg("core dumps stay possible, they would hold passwords")
	}
	checkDescriptors(c, log)
	collectOften()
	journal, err := failover.NewJournal(failover.JournalConfig{Path: filepath.Join(c.StateDir, "journal.jsonl")})
	if err != nil {
		return fmt.Errorf("state_dir %s: %w", c.StateDir, err)
	}
	defer func() { _ = journal.Close() }()
	if err := journal.Unread(); err != nil {
		log.Warn().Err(err).Msg("part of the journal is lost")
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	files := certs.NewSet(log.With().Str("part", "tls").Logger())
	registry.MustRegister(newCertificateMetrics(files))

	clusters := make([]*cluster, 0, len(c.Clusters))
	defer func() {
		for _, cl := range clusters {
			cl.close()
		}
	}()
	for _, cc := range c.Clusters {
		cl, err := newCluster(c, cc, files, journal, registry, log)
		if err != nil {
			return fmt.Errorf("cluster %s: %w", cc.Name, err)
		}
		clusters = append(clusters, cl)
	}
	endpoint, err := newEndpoint(ctx, c, clusters, journal, registry, log)
	if err != nil {
		return err
	}
	return runParts(ctx, c, clusters, endpoint, files, log)
}

// runParts starts the parts and, when ctx is done, ends them in order: clients first, then the controllers, which may have
// an operation to bring to its end, then the probes and the admin endpoint.
func runParts(ctx context.Context, c *conf.Config, clusters []*cluster, endpoint *admin.Server, files *certs.Set, log zerolog.Logger) error {
	g, running := errgroup.WithContext(ctx)
	control, stopControl := context.WithCancel(context.WithoutCancel(ctx))
	defer stopControl()
	fates := &fates{clusters: len(clusters), log: log}
	for _, cl := range clusters {
		g.Go(func() error { return fates.decide(cl.config.Name, cl.runControl(control)) })
	}
	if endpoint != nil {
		g.Go(func() error { return endpoint.Run(control) })
	}
	g.Go(func() error {
		<-running.Done()
		if endpoint != nil {
			endpoint.Drain()
		}
		return nil
	})
	g.Go(func() error { return watchCertificates(control, files) })
	// The data path ends before the control path: its own group tells when.
	var data errgroup.Group
	for _, cl := range clusters {
		data.Go(func() error { return cl.data.Run(running, c.Shutdown.Grace) })
	}
	log.Info().Str("version", versionLine()).Msg("onewriter started")
	derr := data.Wait()
	stopControl()
	err := errors.Join(derr, g.Wait(), fates.err())
	log.Info().Msg("onewriter stopped")
	return explainSetup(err)
}

// explainSetup adds the SQL to run to the error that says that it has to be.
func explainSetup(err error) error {
	se := (*failover.SetupError)(nil)
	if !errors.As(err, &se) {
		return err
	}
	text := ""
	for _, sql := range se.SQL {
		text += "\n  " + sql + ";"
	}
	return fmt.Errorf("%w%s", err, text)
}

func newLogger(c conf.Log, stderr io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log level: %w", err)
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano
	w := stderr
	if c.Format == "console" {
		w = zerolog.ConsoleWriter{Out: stderr, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != ""}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}
