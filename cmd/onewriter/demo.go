package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/internal/demo"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

func newDemoCommand() *cobra.Command {
	var (
		flavor string
		output string
		o      demo.Options
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a switchover under load on a real pair of servers, started for that",
		Long: "Start two real database servers that replicate to each other, run onewriter before them, let clients write and read,\n" +
			"and move the primary role meanwhile. At the end every row is compared. Without --for the demo then stays until Ctrl-C, with\n" +
			"commands to try. All processes and files of the demo are removed at its end.\n\n" +
			"Exit code 0: no acknowledged write was lost, no client saw an error, both servers are equal and the role has moved. 1: anything else.",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Flavor, err = mysqltest.ParseFlavor(flavor); err != nil {
				return err
			}
			if o.Program, err = os.Executable(); err != nil {
				return fmt.Errorf("find this program's file: %w", err)
			}
			return runDemo(cmd.Context(), o, output, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&flavor, "flavor", "mariadb", "database software: mariadb or mysql")
	cmd.Flags().DurationVar(&o.For, "for", 0, "run the load for so long, with a switchover every few seconds, and exit (default: show one and stay)")
	cmd.Flags().IntVar(&o.Writers, "writers", 8, "clients that write")
	cmd.Flags().IntVar(&o.Readers, "readers", 4, "clients that read, on both ports")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output format: text or json; with json the story goes to the standard error")
	_ = cmd.RegisterFlagCompletionFunc("flavor", cobra.FixedCompletions([]string{"mariadb", "mysql"}, cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if output != "text" && output != "json" {
			return fmt.Errorf("--output must be text or json, not %q", output)
		}
		if output == "json" && o.For == 0 {
			o.For = 20 * time.Second // a script wants an end
		}
		return o.Validate()
	}
	return cmd
}

// runDemo runs the demo. A closed terminal and a closed pipe end it as Ctrl-C does, so that it can clean up.
func runDemo(ctx context.Context, o demo.Options, output string, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT)
	defer stop()
	o.Story = stdout
	if output == "json" {
		o.Story = stderr
	}
	o.Terminal = isTerminal(o.Story)
	result, err := demo.Run(ctx, o)
	if output == "json" {
		if perr := printJSON(stdout, result); perr != nil {
			return perr
		}
	}
	if err == nil && !result.PromiseHeld {
		return &exitError{code: exitFailed}
	}
	return err
}

// isTerminal says whether a line on w can be written over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
