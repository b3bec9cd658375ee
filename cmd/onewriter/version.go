package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker in release builds; without them the module's own build record is asked.
var (
	version = ""
	commit  = ""
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), versionText())
			return err
		},
	}
}

// buildVersion gives the version and the commit this program was built from.
func buildVersion() (v, rev string) {
	v, rev = version, commit
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return orUnknown(v), orUnknown(rev)
	}
	if v == "" {
		v = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && rev == "":
			rev = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " (modified)"
		}
	}
	if commit == "" && rev != "" {
		rev += dirty
	}
	return orUnknown(v), orUnknown(rev)
}

func versionText() string {
	v, rev := buildVersion()
	return fmt.Sprintf("onewriter %s\ncommit %s\n%s %s/%s\nruntime settings: %s\n", v, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH, orUnknown(linkedGodebug()))
}

// linkedGodebug gives the runtime settings that the linker put in. The relay needs schedtrace there to be cheap: see
// "The runtime setting" in ARCHITECTURE.md.
func linkedGodebug() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "-trimpath" && s.Value == "true" {
			return "" // such a build does not record its flags
		}
		if s.Key != "-ldflags" {
			continue
		}
		for _, f := range strings.FieldsFunc(s.Value, func(r rune) bool { return r == ' ' || r == '\'' || r == '"' }) {
			if _, value, ok := strings.Cut(f, "runtime.godebugDefault="); ok {
				return value
			}
		}
	}
	return "default"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
