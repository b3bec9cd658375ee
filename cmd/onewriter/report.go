package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
)

func newReportCommand() *cobra.Command {
	var on onCluster
	cmd := &cobra.Command{
		Use:   "report [OPERATION]",
		Short: "Tell one operation from beginning to end",
		Long: "Tell all that the journal knows of one switchover, failover or rejoin: what led to it, each step with its evidence and time,\n" +
			"what was lost, what fenced the old primary, and what clients saw. Without a name, or with \"last\", it is the latest one that\n" +
			"was begun; what was refused since then is named.",
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := on.reach(cmd.Context())
			if err != nil {
				return err
			}
			operation := "last"
			if len(args) == 1 {
				operation = args[0]
			}
			report, err := c.Report(cmd.Context(), on.cluster, operation)
			if err != nil {
				return err
			}
			if on.output == "json" {
				return printJSON(cmd.OutOrStdout(), report)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), reportText(report))
			return err
		},
	}
	on.flags(cmd)
	return cmd
}

// reportText tells an operation to a person.
func reportText(r api.Report) string {
	var b strings.Builder
	what := r.What
	if r.DryRun {
		what = "dry run of a " + what
	}
	fmt.Fprintf(&b, "%s %s of cluster %s: %s\n", what, r.Operation, r.Cluster, cmp.Or(r.Outcome, "not over, or cut short by the end of the process"))
	fmt.Fprintf(&b, "  began    %s, asked for by %s\n", r.Began.Local().Format(time.RFC3339Nano), cmp.Or(r.By, "Onewriter itself"))
	if r.Ended != nil {
		fmt.Fprintf(&b, "  took     %s\n", millis(r.TookMS))
	}
	if r.From != "" || r.To != "" {
		fmt.Fprintf(&b, "  role     from %s to %s, epoch %d\n", cmp.Or(r.From, "nobody"), cmp.Or(r.To, "nobody yet"), r.Epoch)
	}
	b.WriteString(outcomeText(r))
	writeLines(&b, "  - ", r.Reasons)
	for _, e := range r.Refused {
		fmt.Fprintf(&b, "  later    %s was refused at %s: %s\n", e.Operation, e.At.Local().Format(time.DateTime), strings.Join(e.Reasons, " "))
	}
	if len(r.Before) > 0 {
		b.WriteString("\nwhat led to it:\n" + eventsText(r.Before, clock, "  "))
	}
	for i := range r.Steps {
		r.Steps[i].Operation = "" // it is that of the title
	}
	b.WriteString("\nwhat was done:\n" + eventsText(r.Steps, clock, "  "))
	return b.String()
}

// clock is how moments within a report are written.
const clock = "15:04:05.000"

// outcomeText says what came of it: fence, loss, what clients saw, what a returning server had.
func outcomeText(r api.Report) string {
	var b strings.Builder
	if r.Fence != "" {
		fmt.Fprintf(&b, "  fence    %s: %s\n", r.Fence, fenceSentence(r.Fence))
	}
	if r.Loss != nil {
		fmt.Fprintf(&b, "  loss     %s\n", r.Loss.Sentence)
	}
	if c := r.Clients; c != nil {
		fmt.Fprintf(&b, "  clients  no writes for %s; %d sessions moved, %d were closed", millis(c.PauseMS), c.Moved, c.Closed)
		if c.Because != "" {
			b.WriteString(": " + c.Because)
		}
		b.WriteString("\n")
	}
	if s := r.Returned; s != nil {
		fmt.Fprintf(&b, "  server   %s: %s", s.Server, cmp.Or(s.Verdict, "not judged"))
		if s.Errant >= 0 {
			fmt.Fprintf(&b, ", %d transactions of its own", s.Errant)
		}
		if s.Undone != "" {
			b.WriteString(", undone; kept in " + s.Undone)
		}
		b.WriteString("\n")
	}
	return b.String()
}
