package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
)

func newDoctorCommand() *cobra.Command {
	var (
		on       onCluster
		selfTest bool
		last     bool
		quiet    bool
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine the servers for what would go wrong in a failover",
		Long: "Examine the servers of a cluster for what would go wrong in a failover, with evidence and the SQL that puts it right.\n" +
			"With --self-test a row is written on the primary and awaited on each standby, and the links back and the clocks are looked at.\n\n" +
			"Exit code 0: nothing worse than an information. 4: warnings, or checks that could not be made. 5: something critical, or the\n" +
			"self-test failed. 1: there was no examination. With --quiet nothing is printed at exit code 0, as cron likes it.",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := on.reach(cmd.Context())
			if err != nil {
				return err
			}
			if selfTest {
				test, err := c.SelfTest(cmd.Context(), on.cluster)
				if err != nil {
					return err
				}
				return show(cmd.OutOrStdout(), on.output, quiet, test, selfTestText(test), selfTestCode(test))
			}
			report, err := c.Doctor(cmd.Context(), on.cluster, !last)
			if err != nil {
				return err
			}
			if report.At == nil {
				return errors.New("there was no examination yet; ask without --last")
			}
			return show(cmd.OutOrStdout(), on.output, quiet, report, doctorText(report), doctorCode(report))
		},
	}
	on.flags(cmd)
	cmd.Flags().BoolVar(&selfTest, "self-test", false, "prove replication by a row")
	cmd.Flags().BoolVar(&last, "last", false, "show the last examination instead of making one")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing when all is well")
	cmd.MarkFlagsMutuallyExclusive("self-test", "last")
	return cmd
}

// show prints document or text and ends with code.
func show(w io.Writer, output string, quiet bool, document any, text string, code int) error {
	var err error
	switch {
	case quiet && code == exitOK:
		return nil
	case output == "json":
		err = printJSON(w, document)
	default:
		_, err = io.WriteString(w, text)
	}
	if err == nil && code != exitOK {
		err = &exitError{code: code}
	}
	return err
}

func doctorCode(d api.Doctor) int {
	code := exitOK
	if len(d.Failed) > 0 {
		code = exitWarnings
	}
	for _, f := range d.Findings {
		switch f.Severity {
		case "critical":
			return exitCritical
		case "warning":
			code = exitWarnings
		}
	}
	return code
}

func selfTestCode(t api.SelfTest) int {
	if t.OK {
		return exitOK
	}
	return exitCritical
}

func doctorText(d api.Doctor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %s: %d checks in %s, %d findings\n", d.Cluster, d.Checks, millis(d.TookMS), len(d.Findings))
	for _, f := range d.Findings {
		blocks := ""
		if f.Blocks {
			blocks = ", blocks automatic failover"
		}
		fmt.Fprintf(&b, "\n%s %s (%s%s)\n  %s\n", strings.ToUpper(f.Severity), f.Code, cmp.Or(f.Server, "cluster"), blocks, f.Summary)
		writeLines(&b, "  seen: ", f.Evidence)
		writeLines(&b, "  fix:  ", f.Fix)
	}
	if len(d.Failed) > 0 {
		b.WriteString("\nnot checked:\n")
		writeLines(&b, "  - ", d.Failed)
	}
	return b.String()
}

func selfTestText(t api.SelfTest) string {
	var b strings.Builder
	result := "replication works"
	if !t.OK {
		result = "replication does NOT work as it should"
	}
	fmt.Fprintf(&b, "cluster %s, primary %s: %s (%s)\n", t.Cluster, cmp.Or(t.Primary, "none"), result, millis(t.TookMS))
	for _, l := range t.Legs {
		fmt.Fprintf(&b, "  %s -> %s: %s\n", l.From, l.To, legText(l))
		writeLines(&b, "      ", l.Evidence)
	}
	writeLines(&b, "  ! ", t.Problems)
	return b.String()
}

func legText(l api.Leg) string {
	text := "ok"
	if !l.OK {
		text = "FAILED"
	}
	if !l.Reverse && l.OK {
		text += ", round trip " + millis(l.RoundTripMS)
	}
	if !l.Reverse {
		text += ", clock ahead by " + millis(l.DriftMS)
	}
	return text
}
