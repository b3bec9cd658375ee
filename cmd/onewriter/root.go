package main

import (
	"github.com/spf13/cobra"
)

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "onewriter",
		Short: "A MySQL and MariaDB proxy that owns the primary pointer",
		Long: "Onewriter sits between applications and a MySQL or MariaDB primary with its standbys. Applications change their\n" +
			"DSN and nothing else; writes reach exactly one server, and the primary role moves without an error for them.",
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          arguments(0, 0),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newStatusCommand(), newSwitchoverCommand(), newFailoverCommand(), newRejoinCommand(), newSessionsCommand(), newKillCommand(), newDoctorCommand(), newHistoryCommand(),
		newReportCommand(), newSetupCommand(), newConfigCommand(), newVersionCommand(), newServeCommand(), newDemoCommand())
	return root
}
