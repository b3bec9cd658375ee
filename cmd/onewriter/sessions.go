package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/api"
)

func newSessionsCommand() *cobra.Command {
	var on onCluster
	cmd := &cobra.Command{
		Use:        "sessions",
		SuggestFor: []string{"clients", "connections", "processlist"},
		Short:      "List the client sessions",
		Long: "List the client sessions of a running process. ID is the connection id that the client was told when it connected, and what\n" +
			"it can be killed by; SERVER ID is the id of its connection in the process list of its server now.",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := on.reach(cmd.Context())
			if err != nil {
				return err
			}
			list, err := c.Sessions(cmd.Context(), on.cluster)
			if err != nil {
				return err
			}
			if on.output == "json" {
				return printJSON(cmd.OutOrStdout(), api.Sessions{Sessions: list})
			}
			return printSessions(cmd.OutOrStdout(), list, time.Now())
		},
	}
	on.flags(cmd)
	return cmd
}

func printSessions(w io.Writer, list []api.Session, now time.Time) error {
	rows := [][]string{{"ID", "USER", "CLIENT", "LISTENER", "SERVER", "SERVER ID", "TRANSACTION", "COMMANDS", "SINCE", "PINS"}}
	for _, s := range list {
		id := ""
		if s.ConnectionID != 0 {
			id = fmt.Sprint(s.ConnectionID)
		}
		rows = append(rows, []string{
			fmt.Sprint(s.HandshakeID), s.User, s.Client, s.Listener, cmp.Or(s.Target, "-"), cmp.Or(id, "-"), yesNo(s.InTransaction),
			fmt.Sprint(s.Commands), now.Sub(s.Since).Round(time.Second).String(), strings.Join(s.Pins, ", "),
		})
	}
	return printTable(w, rows)
}

func newKillCommand() *cobra.Command {
	var on onCluster
	cmd := &cobra.Command{
		Use:   "kill ID",
		Short: "End a client session",
		Long: "End the client session with this connection id, the one that the client was told when it connected (the column ID of\n" +
			"`onewriter sessions`). What it runs is killed at the server by the control account, and the client is hung up on.",
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil || id == 0 {
				return fmt.Errorf("%q is no connection id", args[0])
			}
			c, err := on.reach(cmd.Context())
			if err != nil {
				return err
			}
			list, err := c.Sessions(cmd.Context(), on.cluster)
			if err != nil {
				return err
			}
			for _, s := range list {
				if uint64(s.HandshakeID) != id {
					continue
				}
				if s, err = c.Kill(cmd.Context(), on.cluster, s.ID); err != nil {
					return err
				}
				if on.output == "json" {
					return printJSON(cmd.OutOrStdout(), s)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The session %d of %s from %s was ended.\n", id, cmp.Or(s.User, "a client that had not logged in"), s.Client)
				return err
			}
			return fmt.Errorf("no client of cluster %s has the connection id %d; `onewriter sessions` lists them", on.cluster, id)
		},
	}
	on.flags(cmd)
	return cmd
}
