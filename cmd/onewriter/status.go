package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/admin/client"
)

func newStatusCommand() *cobra.Command {
	var (
		r        remote
		cluster  string
		output   string
		watch    bool
		interval time.Duration
	)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the clusters of a running process",
		Long: "Show the state of the clusters, their servers and listeners, and in lines with an exclamation mark what is the matter.\n" +
			"Exit code 0: the process has answered, whatever the state is; 1: it has not.",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			show := func() error { return showStatus(cmd.Context(), cmd.OutOrStdout(), c, cluster, output) }
			if !watch {
				return show()
			}
			if interval < 100*time.Millisecond {
				return fmt.Errorf("--interval must be at least 100ms, not %s", interval)
			}
			return watchStatus(cmd.Context(), cmd.OutOrStdout(), show, interval, output)
		},
	}
	r.flags(cmd)
	outputFlag(cmd, &output)
	cmd.Flags().StringVar(&cluster, "cluster", "", "show this cluster only")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show again and again until interrupted")
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "time between two looks with --watch")
	return cmd
}

// watchStatus repeats show until ctx is done. An endpoint that does not answer is shown, not fatal: it may be about
// to restart.
func watchStatus(ctx context.Context, w io.Writer, show func() error, interval time.Duration, output string) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if output == "table" {
			// Clear the screen and go to its top left corner; say when this was seen.
			if _, err := fmt.Fprintf(w, "\x1b[H\x1b[2J%s\n\n", time.Now().Format(time.TimeOnly)); err != nil {
				return err
			}
		}
		if err := show(); err != nil && ctx.Err() == nil {
			if _, err := fmt.Fprintln(w, err); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func showStatus(ctx context.Context, w io.Writer, c *client.Client, cluster, output string) error {
	clusters, err := fetch(ctx, c, cluster)
	if err != nil {
		return err
	}
	if output == "json" {
		if cluster != "" {
			return printJSON(w, clusters[0])
		}
		return printJSON(w, api.Clusters{Clusters: clusters})
	}
	for i, cl := range clusters {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if err := printCluster(w, cl); err != nil {
			return err
		}
	}
	return nil
}

func fetch(ctx context.Context, c *client.Client, cluster string) ([]api.Cluster, error) {
	if cluster == "" {
		return c.Clusters(ctx)
	}
	one, err := c.Cluster(ctx, cluster)
	return []api.Cluster{one}, err
}

func printCluster(w io.Writer, c api.Cluster) error {
	primary := c.Primary
	if primary == "" {
		primary = "none"
	}
	if _, err := fmt.Fprintf(w, "cluster %s: %s, primary %s, epoch %d, %d sessions (%d in a transaction, %d pinned, %d held)\n",
		c.Name, c.State, primary, c.Epoch, c.Sessions.Total, c.Sessions.InTransaction, c.Sessions.Pinned, c.Sessions.Held); err != nil {
		return err
	}
	if o := c.Operation; o != nil {
		if _, err := fmt.Fprintf(w, "  operation %s from %s to %s is in step %s\n", o.ID, cmp.Or(o.From, "nobody"), cmp.Or(o.To, "nobody yet"), o.Step); err != nil {
			return err
		}
	}
	rows := [][]string{{"  SERVER", "ADDRESS", "ROLE", "HEALTHY", "READ ONLY", "LAG", "SESSIONS", "POSITION"}}
	var notes []string
	for _, reason := range c.Reasons {
		notes = append(notes, "  ! "+reason)
	}
	notes = append(notes, failoverNotes(c)...)
	for _, s := range c.Servers {
		rows = append(rows, []string{
			"  " + s.Name, s.Address, s.Role, yesNo(s.Healthy), readOnlyText(s), lagText(s.LagSeconds), fmt.Sprint(s.Sessions), short(s.Position),
		})
		for _, p := range s.Problems {
			notes = append(notes, "  ! "+s.Name+": "+p)
		}
	}
	if err := printTable(w, rows); err != nil {
		return err
	}
	for _, l := range c.Listeners {
		notes = append(notes, fmt.Sprintf("  %s serves the %s to %d sessions", l.Address, l.Route, l.Sessions))
	}
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, n); err != nil {
			return err
		}
	}
	return nil
}

// failoverNotes says what is the matter with the primary, what keeps an automatic failover from happening, and who was left
// behind.
func failoverNotes(c api.Cluster) []string {
	var notes []string
	if k := c.Verdict.Kind; k != "" && k != "FINE" && k != "UNKNOWN" {
		notes = append(notes, "  verdict "+k)
		for _, e := range c.Verdict.Evidence {
			if !slices.ContainsFunc(c.Reasons, func(r string) bool { return uncounted(r) == uncounted(e) }) {
				notes = append(notes, "    - "+e)
			}
		}
	}
	for _, b := range c.Blocked {
		notes = append(notes, "  no automatic failover: "+b)
	}
	for _, a := range c.Away {
		notes = append(notes, fmt.Sprintf("  %s is away since epoch %d (%s, %s), verdict: %s. %s", a.Server, a.Epoch, a.Why, cmp.Or(a.Fence, "not fenced"),
			cmp.Or(a.Verdict, "not back yet"), a.Loss.Sentence))
	}
	return notes
}

// uncounted is a sentence without how often or how long at its end.
func uncounted(sentence string) string {
	head, _, _ := strings.Cut(sentence, " (")
	return strings.TrimRight(head, ".")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// readOnlyText is "-" for a server that was never asked.
func readOnlyText(s api.Server) string {
	if s.Version == "" {
		return "-"
	}
	return yesNo(s.ReadOnly)
}

func lagText(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return time.Duration(*seconds * float64(time.Second)).Round(time.Millisecond).String()
}

// short keeps the end of a position, which is the part that moves.
func short(position string) string {
	const limit = 60
	if r := []rune(position); len(r) > limit {
		return "..." + string(r[len(r)-limit+3:])
	}
	return position
}
