package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/admin/client"
)

func newSwitchoverCommand() *cobra.Command {
	var (
		r       remote
		cluster string
		output  string
		req     api.SwitchoverRequest
	)
	cmd := &cobra.Command{
		Use:   "switchover",
		Short: "Move the primary role to a standby",
		Long: "Move the primary role to a standby, or check with --dry-run whether that would work and how long it would take.\n\n" +
			"Exit code 0: done. 2: refused, nothing was changed. 3: begun and undone. 1: anything else, see the message.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			if cluster == "" {
				if cluster, err = onlyCluster(cmd.Context(), c); err != nil {
					return err
				}
			}
			result, err := c.Switchover(cmd.Context(), cluster, req)
			if err != nil {
				return switchoverError(cmd.OutOrStdout(), err, output)
			}
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printSwitchover(cmd.OutOrStdout(), result)
		},
	}
	r.flags(cmd)
	outputFlag(cmd, &output)
	cmd.Flags().StringVar(&cluster, "cluster", "", "the cluster; may be left out when there is only one")
	cmd.Flags().StringVar(&req.To, "to", "", "the new primary; by default the best standby")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "check and predict, change nothing")
	return cmd
}

func onlyCluster(ctx context.Context, c *client.Client) (string, error) {
	clusters, err := c.Clusters(ctx)
	if err != nil {
		return "", err
	}
	if len(clusters) == 1 {
		return clusters[0].Name, nil
	}
	names := make([]string, len(clusters))
	for i, cl := range clusters {
		names[i] = cl.Name
	}
	return "", fmt.Errorf("there are %d clusters, choose one with --cluster: %s", len(clusters), strings.Join(names, ", "))
}

// switchoverError gives a refusal and an abort their exit codes.
func switchoverError(w io.Writer, err error, output string) error {
	var status *client.StatusError
	if !errors.As(err, &status) {
		return err
	}
	code := exitFailed
	switch {
	case status.Status == http.StatusConflict:
		code = exitRefused
	case status.Status == http.StatusServiceUnavailable && status.Phase != "" && !status.Unresolved:
		code = exitAborted
	}
	if output == "json" {
		if err := printJSON(w, status.Problem); err != nil {
			return err
		}
		return &exitError{code: code}
	}
	var b strings.Builder
	b.WriteString(status.Detail)
	for _, reason := range status.Reasons {
		if reason != status.Detail {
			b.WriteString("\n  - " + reason)
		}
	}
	if status.Phase != "" {
		b.WriteString("\n  step: " + status.Phase)
	}
	return &exitError{code: code, err: errors.New(b.String())}
}

func printSwitchover(w io.Writer, s api.Switchover) error {
	var b strings.Builder
	if s.Outcome == "dry_run" {
		fmt.Fprintf(&b, "A switchover from %s to %s would work; the predicted pause is %s. Nothing was changed.\n", s.From, s.To, millis(s.PredictedPauseMS))
		for _, k := range s.Blockers {
			fmt.Fprintf(&b, "  connection %d (%s@%s, %.1f s): %s\n", k.ID, k.User, k.Host, k.Seconds, k.Reason)
		}
	} else {
		fmt.Fprintf(&b, "The primary role moved from %s to %s, epoch %d. Clients could not write for %s.\n", s.From, s.To, s.Epoch, millis(s.PauseMS))
		for _, p := range s.Phases {
			fmt.Fprintf(&b, "  %-12s %s\n", p.Name, millis(p.MS))
		}
		fmt.Fprintf(&b, "%d sessions moved, %d were closed.\n", s.SessionsMoved, len(s.SessionsClosed))
		for _, c := range s.SessionsClosed {
			fmt.Fprintf(&b, "  session %d: %s\n", c.ID, c.Reason)
		}
	}
	for _, warning := range s.Warnings {
		b.WriteString("warning: " + warning + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func millis(ms float64) string { return fmt.Sprintf("%.1f ms", ms) }
