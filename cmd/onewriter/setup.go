package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/backend"
	"github.com/onewriter/onewriter/conf"
	"github.com/onewriter/onewriter/failover"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/topology"
)

// setupTimeout bounds the work on one server.
const setupTimeout = 15 * time.Second

func newSetupCommand() *cobra.Command {
	var (
		file      string
		printOnly bool
	)
	cmd := &cobra.Command{
		Use:        "setup",
		SuggestFor: []string{"init", "install"},
		Short:      "Create onewriter's own schema on the primary of every cluster, or print the SQL",
		Long: "Create the schema `onewriter` through the one writable server of every cluster; replication carries it to the others.\n" +
			"With --print nothing is changed: the SQL for an administrator is printed, with the grants of the control account.",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := conf.Load(file)
			if err != nil {
				return err
			}
			var errs []error
			for _, c := range cfg.Clusters {
				if printOnly {
					errs = append(errs, printSetup(cmd.Context(), cmd.OutOrStdout(), c))
				} else {
					errs = append(errs, runSetup(cmd.Context(), cmd.OutOrStdout(), c))
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", defaultConfig, "configuration file")
	cmd.Flags().BoolVar(&printOnly, "print", false, "print the SQL instead of executing it")
	return cmd
}

// printSetup prints the SQL in the dialect of the first server that is reached, or in both when none is. No login is needed.
func printSetup(ctx context.Context, w io.Writer, c conf.Cluster) error {
	names := []string{"mariadb", "mysql"}
	if name := dialectOf(ctx, c); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		var b strings.Builder
		if len(names) > 1 {
			fmt.Fprintf(&b, "-- No server of cluster %s is reached. Take this part if its servers are %s.\n", c.Name, name)
		}
		fmt.Fprintf(&b, "-- cluster %s: run on the primary as an administrator (%s)\n", c.Name, name)
		for _, statement := range failover.SetupSQL(name, c.Control.User) {
			b.WriteString(statement + ";\n")
		}
		for _, extra := range failover.ExtraSQL(name, c.Control.User) {
			b.WriteString("-- only for " + extra.For + ":\n")
			writeLines(&b, "-- ", terminated(extra.SQL))
		}
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

func terminated(statements []string) []string {
	out := make([]string, len(statements))
	for i, statement := range statements {
		out[i] = statement + ";"
	}
	return out
}

// dialectOf tells by the greeting of the first server that is reached which software it is; "" when none is.
func dialectOf(ctx context.Context, c conf.Cluster) string {
	dialer := backend.New(backend.Config{Timeout: c.Limits.ConnectTimeout})
	defer dialer.Close()
	for _, i := range instances(c) {
		g, err := dialer.Greet(ctx, i.Address)
		if err != nil {
			continue
		}
		g.Release()
		if g.Greeting.Capabilities.MariaDB() || strings.Contains(g.Greeting.Version, "MariaDB") {
			return "mariadb"
		}
		return "mysql"
	}
	return ""
}

// runSetup creates the schema through the only writable server of c.
func runSetup(ctx context.Context, w io.Writer, c conf.Cluster) error {
	protect, err := serverTLS(c.ServerTLS, noSet())
	if err != nil {
		return err
	}
	connect := controlConnect(c, protect)
	primary, err := onlyWritable(ctx, c, connect)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	return onServer(ctx, connect, primary, func(ctx context.Context, db *sql.DB) error {
		created, err := failover.EnsureSchema(ctx, primary.Name, db)
		var setup *failover.SetupError
		if errors.As(err, &setup) {
			return fmt.Errorf("%w\n\n%s;", err, strings.Join(setup.SQL, ";\n"))
		}
		if err != nil {
			return err
		}
		text := "is there already"
		if created {
			text = "was created"
		}
		_, err = fmt.Fprintf(w, "cluster %s: the schema onewriter %s on %s\n", c.Name, text, primary.Name)
		return err
	})
}

// onlyWritable asks every server; setup goes on without the ones that do not answer only if exactly one of the others
// is writable.
func onlyWritable(ctx context.Context, c conf.Cluster, connect func(topology.Instance) (*sql.DB, error)) (topology.Instance, error) {
	var writable []topology.Instance
	var turned []string // the control account away
	var errs []error
	for _, i := range instances(c) {
		err := onServer(ctx, connect, i, func(ctx context.Context, db *sql.DB) error {
			d, err := flavor.Detect(ctx, db)
			if err != nil {
				return err
			}
			readOnly, super, err := d.ReadOnly(ctx, db)
			if err == nil && !readOnly && !super {
				writable = append(writable, i)
			}
			return err
		})
		if err != nil {
			errs = append(errs, err)
		}
		if turnedAway(err) {
			turned = append(turned, i.Name)
		}
	}
	why := ""
	switch {
	case len(writable) == 1:
		return writable[0], nil
	case len(writable) > 1:
		return topology.Instance{}, fmt.Errorf("%d servers are writable (%s); set read_only on all but the primary", len(writable), names(writable))
	case len(turned) > 0:
		why = fmt.Sprintf("the control account %s was turned away by %s: check control.user and control.password, or make the account with the SQL of `onewriter setup --print`",
			c.Control.User, strings.Join(turned, " and "))
	case len(errs) == len(c.Servers):
		why = "no server could be asked"
	case len(errs) > 0:
		why = "none of the servers that could be asked is writable"
	default:
		why = "no server is writable: on the one that has the newest data run SET GLOBAL read_only=0"
	}
	return topology.Instance{}, errors.Join(append([]error{errors.New(why)}, errs...)...)
}

func onServer(ctx context.Context, connect func(topology.Instance) (*sql.DB, error), i topology.Instance, do func(context.Context, *sql.DB) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	db, err := connect(i)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := do(ctx, db); err != nil {
		return fmt.Errorf("server %s (%s): %w", i.Name, i.Address, err)
	}
	return nil
}

func names(list []topology.Instance) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.Name
	}
	return strings.Join(out, ", ")
}
