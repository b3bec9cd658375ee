package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// demoOptions are the flags of the demo.
type demoOptions struct {
	flavor   string
	length   time.Duration // of the load; 0 means until interrupted
	every    time.Duration // between two switchovers
	writers  int
	readers  int
	filePos  bool
	keepDirs bool
	output   string
}

func newDemoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a switchover under load on real servers, on this machine",
		Long: "Start a real primary with its standby in a temporary directory, installing the server first if it is missing and\n" +
			"this is Debian, put onewriter in front of them, let clients write and read through it, move the primary role while\n" +
			"they do, and prove on the servers that nothing they were told is missing.\n\n" +
			"Without --for the demo does one switchover and runs on until Ctrl-C, for you to try things. The exit code is 0\n" +
			"only if no client saw an error, no acknowledged row is missing and both servers hold the same rows.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := mysqltest.ParseFlavor(o.flavor)
			if err != nil {
				return err
			}
			if err := o.check(cmd.Flags().Changed("every")); err != nil {
				return err
			}
			r, err := runDemo(cmd.Context(), o, f, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			if broken := r.Broken(); len(broken) > 0 {
				return errors.New("the promise did not hold: " + strings.Join(broken, ", "))
			}
			return nil
		},
	}
	outputFlag(cmd, &o.output)
	flags := cmd.Flags()
	flags.StringVar(&o.flavor, "flavor", "mariadb", "the servers to start: mariadb or mysql")
	flags.DurationVar(&o.length, "for", 0, "let the load run this long, then exit (0: until Ctrl-C)")
	flags.DurationVar(&o.every, "every", 0, "time between two switchovers (default: a fifth of --for, at most 5s; without --for only one is done)")
	flags.IntVar(&o.writers, "writers", 8, "number of writing clients")
	flags.IntVar(&o.readers, "readers", 4, "number of reading clients")
	flags.BoolVar(&o.filePos, "file-position", false, "replicate by file and position instead of GTIDs")
	flags.BoolVar(&o.keepDirs, "keep", false, "keep the directory with the configuration and the proxy's log")
	_ = cmd.RegisterFlagCompletionFunc("flavor", cobra.FixedCompletions([]string{"mariadb", "mysql"}, cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	return cmd
}

// check validates the flags and fills in what was left out.
func (o *demoOptions) check(everySet bool) error {
	if o.length < 0 || (o.length > 0 && o.length < time.Second) {
		return fmt.Errorf("--for must be at least 1s, or 0, not %s", o.length)
	}
	if o.writers < 1 || o.writers > 100 || o.readers < 0 || o.readers > 100 {
		return errors.New("--writers must be 1 to 100 and --readers 0 to 100")
	}
	if everySet && o.every < 200*time.Millisecond {
		return fmt.Errorf("--every must be at least 200ms, not %s", o.every)
	}
	if !everySet && o.length > 0 {
		o.every = min(o.length/5, 5*time.Second)
	}
	return nil
}
