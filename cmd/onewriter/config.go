package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/conf"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check, print or explain a configuration file", Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newConfigCheckCommand(), newConfigPrintCommand(), newConfigFingerprintsCommand(), newConfigReferenceCommand())
	return cmd
}

func newConfigCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "check [FILE]",
		SuggestFor: []string{"validate", "test", "verify"},
		Short:      "Show every problem of a configuration file; exit code 1 if there is one",
		Args:       arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := conf.Load(fileArgument(args))
			var list *conf.Error
			if errors.As(err, &list) {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), list); err != nil {
					return err
				}
				return &exitError{code: exitFailed}
			}
			if err != nil {
				return err
			}
			return printSummary(cmd.OutOrStdout(), cfg)
		},
	}
}

func printSummary(w io.Writer, cfg *conf.Config) error {
	for _, p := range cfg.Warnings {
		if _, err := fmt.Fprintln(w, "warning:", p); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(w, "ok"); err != nil {
		return err
	}
	var rows [][]string
	for _, c := range cfg.Clusters {
		rows = append(rows, []string{"cluster", c.Name, fmt.Sprintf("failover %s, coordination %s", c.Failover.Mode, c.Coordination.Mode)})
		for _, s := range c.Servers {
			rows = append(rows, []string{"  server", s.Name, s.Address})
		}
		for _, l := range c.Listeners {
			rows = append(rows, []string{"  listener", l.Address, string(l.Route)})
		}
	}
	admin := cfg.Admin.Address
	if admin == "" {
		admin = "off"
	}
	rows = append(rows, []string{"admin", admin, ""}, []string{"state", cfg.StateDir, ""})
	return printTable(w, rows)
}

func newConfigPrintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "print [FILE]",
		Short: "Print what is in force: defaults filled in, secrets hidden",
		Args:  arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := conf.Load(fileArgument(args))
			if err != nil {
				return err
			}
			out, err := cfg.YAML()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
}

func newConfigReferenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reference",
		Short: "Print the reference of all keys as Markdown",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := conf.Reference()
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
}
