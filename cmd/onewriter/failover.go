package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
)

func newFailoverCommand() *cobra.Command {
	var (
		on  onCluster
		req api.FailoverRequest
	)
	cmd := &cobra.Command{
		Use:        "failover",
		SuggestFor: []string{"takeover"},
		Short:      "Move the primary role without the old primary, which has failed",
		Long: "Move the primary role to a standby without the help of the old primary, because that has failed or shall be given up.\n" +
			"Transactions that no standby has received are lost: --dry-run says how many are known and from how long a time more may be.\n" +
			"While the primary still works, use switchover: it loses nothing.\n\n" +
			"Exit code 0: done. 2: refused, nothing was changed. 3: begun and given up before the new primary was opened. 1: anything\n" +
			"else, see the message.",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := on.reach(cmd.Context())
			if err != nil {
				return err
			}
			result, err := c.Failover(cmd.Context(), on.cluster, req)
			if err != nil {
				return operationError(cmd.OutOrStdout(), err, on.output)
			}
			if on.output == "json" {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printFailover(cmd.OutOrStdout(), result)
		},
	}
	on.flags(cmd)
	cmd.Flags().StringVar(&req.To, "to", "", "the new primary; by default the standby that has received most")
	cmd.Flags().BoolVar(&req.Force, "force", false, "go on where it would be refused: loss beyond the limits, no fence, a candidate whose applier has stopped, a primary that answers")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "say what would be done and may be lost, change nothing")
	return cmd
}

func printFailover(w io.Writer, f api.Failover) error {
	var b strings.Builder
	if f.Outcome == "dry_run" {
		if f.To == "" {
			b.WriteString("Nobody could take over from " + f.From + " now. Nothing was changed.\n")
			f.Loss.Sentence = ""
		} else {
			fmt.Fprintf(&b, "A failover would make %s the primary in place of %s. Nothing was changed.\n", f.To, f.From)
		}
		if len(f.Refusals) > 0 {
			b.WriteString("It would be refused without --force:\n")
			writeLines(&b, "  - ", f.Refusals)
		}
	} else {
		fmt.Fprintf(&b, "The primary role moved from %s to %s, epoch %d. Clients could not write for %s.\n", f.From, f.To, f.Epoch, millis(f.PauseMS))
		fmt.Fprintf(&b, "%s: %s\n", f.From, fenceSentence(f.Fence))
	}
	if f.Loss.Sentence != "" {
		b.WriteString("loss: " + f.Loss.Sentence + "\n")
	}
	writePhases(&b, f.Phases)
	if len(f.SessionsClosed) > 0 {
		fmt.Fprintf(&b, "%d sessions were closed.\n", len(f.SessionsClosed))
		writeClosed(&b, f.SessionsClosed)
	}
	writeLines(&b, "warning: ", f.Warnings)
	_, err := io.WriteString(w, b.String())
	return err
}

// fenceSentence says in words what keeps the old primary from being written to.
func fenceSentence(fence string) string {
	switch fence {
	case "fenced-proved":
		return "fenced, its flags were set and read back."
	case "fenced-by-death":
		return "fenced by death: it has no process, here and for its standby."
	case "fenced-by-semisync":
		return "fenced by semi-synchronous replication: it can acknowledge nothing, because nobody receives from it any more."
	case "fenced-by-command":
		return "fenced by the configured command, which reported success."
	case "fenced-by-watchdog":
		return "fenced by its watchdog: it has closed itself by now."
	case "":
		return "it did not come to fencing it."
	default:
		return "NOT fenced: clients that do not come through Onewriter may still write to it. Switch it off."
	}
}
