package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onewriter/onewriter/admin/client"
)

// remote holds the flags of commands that talk to a running process.
type remote struct {
	address   string
	tokenFile string
}

func (r *remote) flags(cmd *cobra.Command) {
	// The second is the option of the process itself: beside it, in its container, nothing more has to be set.
	address := cmp.Or(os.Getenv("ONEWRITER_ADMIN"), os.Getenv("ONEWRITER_ADMIN_ADDRESS"), client.DefaultAddress)
	cmd.Flags().StringVar(&r.address, "admin", address, "address of the admin endpoint (environment: ONEWRITER_ADMIN, else ONEWRITER_ADMIN_ADDRESS)")
	cmd.Flags().StringVar(&r.tokenFile, "token-file", "", "file with the admin token (else the environment variable ONEWRITER_ADMIN_TOKEN)")
}

func (r *remote) client() (*client.Client, error) {
	token := os.Getenv("ONEWRITER_ADMIN_TOKEN")
	if r.tokenFile != "" {
		data, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the token: %w", err)
		}
		token = strings.TrimSpace(string(data))
	}
	return client.New(r.address, token)
}

// onCluster holds the flags of commands about one cluster of a running process.
type onCluster struct {
	remote

	cluster string
	output  string
}

func (o *onCluster) flags(cmd *cobra.Command) {
	o.remote.flags(cmd)
	outputFlag(cmd, &o.output)
	cmd.Flags().StringVar(&o.cluster, "cluster", "", "the cluster; may be left out when there is only one")
}

// reach gives a client of the endpoint, and the cluster its name if it was left out.
func (o *onCluster) reach(ctx context.Context) (*client.Client, error) {
	c, err := o.client()
	if err == nil && o.cluster == "" {
		o.cluster, err = onlyCluster(ctx, c)
	}
	return c, err
}
