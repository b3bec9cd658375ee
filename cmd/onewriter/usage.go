package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onewriter/onewriter/conf"
)

// defaultConfig is the configuration file of every command that is not told another one.
const defaultConfig = "onewriter.yaml"

// arguments checks how many arguments a command gets, and says what was probably meant.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			_, what, _ := strings.Cut(cmd.Use, " ")
			return wrongUse(cmd, "`%s` needs %s", cmd.CommandPath(), what)
		case len(args) <= most:
			return nil
		case cmd.HasSubCommands():
			return noSuchCommand(cmd, args[0])
		}
		extra := args[most]
		for _, name := range []string{"to", "cluster"} {
			if cmd.Flags().Lookup(name) != nil {
				return wrongUse(cmd, "`%s` does not take the argument %q: did you mean --%s %s?", cmd.CommandPath(), extra, name, extra)
			}
		}
		return wrongUse(cmd, "`%s` does not take the argument %q", cmd.CommandPath(), extra)
	}
}

// fileArgument is the configuration file that was named, or the default one.
func fileArgument(args []string) string {
	if len(args) == 0 {
		return defaultConfig
	}
	return args[0]
}

func noSuchCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
		if slices.Contains(c.SuggestFor, name) {
			return wrongUse(cmd, "`%s` has no command %q: did you mean `%s`?", cmd.CommandPath(), name, c.CommandPath())
		}
	}
	if best := conf.Nearest(name, names); best != "" {
		return wrongUse(cmd, "`%s` has no command %q: did you mean `%s %s`?", cmd.CommandPath(), name, cmd.CommandPath(), best)
	}
	return wrongUse(cmd, "`%s` has no command %q", cmd.CommandPath(), name)
}

// flagError says what was probably meant by a flag that cmd does not have. Where the command before it does not exist, that
// is what is wrong.
func flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		return noSuchCommand(cmd, cmd.Flags().Arg(0))
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return wrongUse(cmd, "`%s`: %v", cmd.CommandPath(), err)
	}
	name := unknown.GetSpecifiedName()
	if others := havingFlag(cmd.Root(), name); len(others) > 0 {
		hint := ""
		if name == "config" && cmd.Flags().Lookup("admin") != nil {
			hint = "; this one asks a running process, at the address of --admin"
		}
		return wrongUse(cmd, "`%s` has no flag --%s, only %s%s", cmd.CommandPath(), name, strings.Join(others, ", "), hint)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if best := conf.Nearest(name, names); best != "" {
		return wrongUse(cmd, "`%s` has no flag --%s: did you mean --%s?", cmd.CommandPath(), name, best)
	}
	return wrongUse(cmd, "`%s` has no flag --%s", cmd.CommandPath(), name)
}

// havingFlag lists the commands from cmd down that have a flag of this name.
func havingFlag(cmd *cobra.Command, name string) (list []string) {
	if cmd.Flags().Lookup(name) != nil {
		list = append(list, "`"+cmd.CommandPath()+"`")
	}
	for _, c := range cmd.Commands() {
		list = append(list, havingFlag(c, name)...)
	}
	return list
}

func wrongUse(cmd *cobra.Command, format string, args ...any) error {
	return fmt.Errorf(format+"; see `%s --help`", append(args, cmd.CommandPath())...)
}
