package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
)

// maxErrant is how many transactions are shown; JSON has all.
const maxErrant = 20

func newRejoinCommand() *cobra.Command {
	var (
		on                       onCluster
		rewind, rebuild, discard bool
		dryRun                   bool
	)
	cmd := &cobra.Command{
		Use:   "rejoin SERVER",
		Short: "Bring a server back that was left behind",
		Long: "Bring a server back that a failover left behind. It is judged first: one that has nothing which the primary lacks becomes a\n" +
			"standby again. One with transactions of its own is refused; look at them with --dry-run and choose:\n\n" +
			"  --rewind   undo them on that server, from the row images in its own binary log; the undone rows are kept as SQL\n" +
			"  --rebuild  replace all its data by the primary's (MySQL: CLONE; MariaDB: the commands are printed)\n" +
			"  --discard  you vouch that its data are those of the primary: its own history is forgotten\n\n" +
			"Exit code 0: it is a standby again. 2: refused. 3: begun and given up. 1: anything else, see the message.",
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := on.reach(cmd.Context())
			if err != nil {
				return err
			}
			req := api.RejoinRequest{Method: rejoinMethod(rewind, rebuild, discard), DryRun: dryRun}
			result, err := c.Rejoin(cmd.Context(), on.cluster, args[0], req)
			if err != nil {
				return operationError(cmd.OutOrStdout(), err, on.output)
			}
			if on.output == "json" {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printRejoin(cmd.OutOrStdout(), result)
		},
	}
	on.flags(cmd)
	cmd.Flags().BoolVar(&rewind, "rewind", false, "undo the transactions that only this server has")
	cmd.Flags().BoolVar(&rebuild, "rebuild", false, "replace its data by the primary's")
	cmd.Flags().BoolVar(&discard, "discard", false, "take your word that its data are those of the primary")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "judge and list what only this server has, bring nothing back")
	cmd.MarkFlagsMutuallyExclusive("rewind", "rebuild", "discard")
	return cmd
}

func rejoinMethod(rewind, rebuild, discard bool) string {
	switch {
	case rewind:
		return "rewind"
	case rebuild:
		return "rebuild"
	case discard:
		return "discard"
	default:
		return ""
	}
}

func printRejoin(w io.Writer, r api.Rejoin) error {
	var b strings.Builder
	if r.Outcome == "dry_run" {
		fmt.Fprintf(&b, "%s was judged, nothing was brought back.\n", r.Server)
	} else {
		fmt.Fprintf(&b, "%s is a standby again.\n", r.Server)
		writePhases(&b, r.Phases)
	}
	b.WriteString(rejoinFindings(r))
	_, err := io.WriteString(w, b.String())
	return err
}

// rejoinFindings says what was found out about a server.
func rejoinFindings(r api.Rejoin) string {
	var b strings.Builder
	if r.Verdict != "" {
		fmt.Fprintf(&b, "verdict: %s\n", r.Verdict)
	}
	writeLines(&b, "  - ", r.Reasons)
	if len(r.Errant) > 0 {
		fmt.Fprintf(&b, "%d transactions that only %s has:\n", len(r.Errant), cmp.Or(r.Server, "this server"))
	}
	for i, t := range r.Errant {
		if i == maxErrant {
			fmt.Fprintf(&b, "  ... and %d more (--output json has all)\n", len(r.Errant)-maxErrant)
			break
		}
		fmt.Fprintf(&b, "  %s\n", errantLine(t))
	}
	if r.Undone != "" {
		b.WriteString("the undone rows are kept in " + r.Undone + "\n")
	}
	if len(r.Commands) > 0 {
		b.WriteString("commands:\n")
		writeLines(&b, "  ", r.Commands)
	}
	return b.String()
}

// errantLine is one transaction in one line: what it is called, when it was committed, what it changed.
func errantLine(t api.ErrantTransaction) string {
	parts := []string{cmp.Or(t.GTID, t.Place)}
	if !t.At.IsZero() {
		parts = append(parts, t.At.UTC().Format(time.RFC3339))
	}
	for _, table := range slices.Sorted(maps.Keys(t.Tables)) {
		parts = append(parts, fmt.Sprintf("%s: %d rows", table, t.Tables[table]))
	}
	parts = append(parts, t.DDL...)
	if t.Own {
		parts = append(parts, "(Onewriter's own)")
	}
	return strings.Join(parts, "  ")
}
