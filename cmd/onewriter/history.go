package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/admin/client"
)

func newHistoryCommand() *cobra.Command {
	var (
		on    onCluster
		ago   time.Duration
		query client.HistoryQuery
	)
	cmd := &cobra.Command{
		Use:        "history",
		SuggestFor: []string{"events", "journal", "log"},
		Short:      "Show what was seen, decided and done",
		Long:       "Show the journal of a cluster: verdicts, changes of state and the steps of operations, oldest first. It survives restarts.",
		Args:       arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := on.reach(cmd.Context())
			if err != nil {
				return err
			}
			if ago > 0 {
				query.From = time.Now().Add(-ago)
			}
			events, err := c.ClusterHistory(cmd.Context(), on.cluster, query)
			if err != nil {
				return err
			}
			if on.output == "json" {
				return printJSON(cmd.OutOrStdout(), api.History{Events: events})
			}
			_, err = io.WriteString(cmd.OutOrStdout(), eventsText(events, time.DateTime, ""))
			return err
		},
	}
	on.flags(cmd)
	cmd.Flags().IntVarP(&query.Limit, "limit", "n", 50, "how many of the newest events")
	cmd.Flags().Uint64Var(&query.Since, "after", 0, "only events with a greater number")
	cmd.Flags().DurationVar(&ago, "since", 0, "only events of the last hours or minutes, for example 2h")
	cmd.Flags().StringSliceVar(&query.Kinds, "kind", nil, "only events of these kinds: "+strings.Join(api.EventKinds, ", "))
	cmd.Flags().StringVar(&query.Operation, "operation", "", "only events of this operation")
	return cmd
}

// eventsText writes one line per event and its reasons below it. layout is how moments are written.
func eventsText(events []api.Event, layout, indent string) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s%s  %s\n", indent, e.At.Local().Format(layout), eventLine(e))
		writeLines(&b, indent+"    - ", e.Reasons)
	}
	return b.String()
}

func eventLine(e api.Event) string {
	var parts []string
	for _, text := range []string{e.Kind, e.Step, e.State, e.Outcome} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	if e.Kind == "refused" || e.Kind == "warning" { // the outcome is the kind once more
		parts = parts[:1]
	}
	if e.Primary != "" {
		parts = append(parts, "primary "+e.Primary)
	}
	if e.Epoch > 0 {
		parts = append(parts, fmt.Sprintf("epoch %d", e.Epoch))
	}
	if e.MS > 0 {
		parts = append(parts, "("+millis(e.MS)+")")
	}
	if e.Operation != "" {
		parts = append(parts, "["+e.Operation+"]")
	}
	for _, key := range slices.Sorted(maps.Keys(e.Evidence)) {
		if e.Evidence[key] != "" {
			parts = append(parts, key+"="+quoted(e.Evidence[key]))
		}
	}
	return strings.Join(parts, " ")
}

// quoted puts a value in quotes when it would not be clear where it ends.
func quoted(s string) string {
	if strings.ContainsAny(s, " \t\n\"") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
