package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
)

func newSwitchoverCommand() *cobra.Command {
	var (
		on  onCluster
		req api.SwitchoverRequest
	)
	cmd := &cobra.Command{
		Use:        "switchover",
		SuggestFor: []string{"switch", "handover", "move", "promote"},
		Short:      "Move the primary role to a standby",
		Long: "Move the primary role to a standby, or check with --dry-run whether that would work and how long it would take.\n\n" +
			"Exit code 0: done. 2: refused, nothing was changed. 3: begun and undone. 1: anything else, see the message.",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := on.reach(cmd.Context())
			if err != nil {
				return err
			}
			result, err := c.Switchover(cmd.Context(), on.cluster, req)
			if err != nil {
				return operationError(cmd.OutOrStdout(), err, on.output)
			}
			if on.output == "json" {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printSwitchover(cmd.OutOrStdout(), result)
		},
	}
	on.flags(cmd)
	cmd.Flags().StringVar(&req.To, "to", "", "the new primary; by default the best standby")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "check and predict, change nothing")
	return cmd
}

func printSwitchover(w io.Writer, s api.Switchover) error {
	var b strings.Builder
	if s.Outcome == "dry_run" {
		fmt.Fprintf(&b, "A switchover from %s to %s would work; the predicted pause is %s. Nothing was changed.\n", s.From, s.To, millis(s.PredictedPauseMS))
		for _, k := range s.Blockers {
			fmt.Fprintf(&b, "  connection %d (%s@%s, %.1f s): %s\n", k.ID, k.User, k.Host, k.Seconds, k.Reason)
		}
		if len(s.SessionsClosed) > 0 {
			fmt.Fprintf(&b, "%d sessions would be closed:\n", len(s.SessionsClosed))
			writeClosed(&b, s.SessionsClosed)
		}
	} else {
		fmt.Fprintf(&b, "The primary role moved from %s to %s, epoch %d. Clients could not write for %s.\n", s.From, s.To, s.Epoch, millis(s.PauseMS))
		writePhases(&b, s.Phases)
		fmt.Fprintf(&b, "%d sessions moved, %d were closed.\n", s.SessionsMoved, len(s.SessionsClosed))
		writeClosed(&b, s.SessionsClosed)
	}
	writeLines(&b, "warning: ", s.Warnings)
	_, err := io.WriteString(w, b.String())
	return err
}
