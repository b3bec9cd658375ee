package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/onewriter/onewriter/admin/api"
	"github.com/onewriter/onewriter/admin/client"
)

func onlyCluster(ctx context.Context, c *client.Client) (string, error) {
	clusters, err := c.Clusters(ctx)
	if err != nil {
		return "", err
	}
	if len(clusters) == 1 {
		return clusters[0].Name, nil
	}
	names := make([]string, len(clusters))
	for i, cl := range clusters {
		names[i] = cl.Name
	}
	return "", fmt.Errorf("there are %d clusters, choose one with --cluster: %s", len(clusters), strings.Join(names, ", "))
}

// operationError gives a refusal and an abort their exit codes.
func operationError(w io.Writer, err error, output string) error {
	var status *client.StatusError
	if !errors.As(err, &status) {
		return err
	}
	code := exitFailed
	switch {
	case status.Status == http.StatusConflict:
		code = exitRefused
	case status.Status == http.StatusServiceUnavailable && status.Phase != "" && !status.Unresolved:
		code = exitAborted
	}
	if output == "json" {
		if err := printJSON(w, status.Problem); err != nil {
			return err
		}
		return &exitError{code: code}
	}
	var b strings.Builder
	b.WriteString(status.Detail)
	for _, reason := range status.Reasons {
		if reason != status.Detail {
			b.WriteString("\n  - " + reason)
		}
	}
	if status.Phase != "" {
		b.WriteString("\n  step: " + status.Phase)
	}
	if status.Rejoin != nil {
		b.WriteString("\n" + strings.TrimRight(rejoinFindings(*status.Rejoin), "\n"))
	}
	return &exitError{code: code, err: errors.New(b.String())}
}

func writePhases(b *strings.Builder, phases []api.Phase) {
	for _, p := range phases {
		fmt.Fprintf(b, "  %-12s %s\n", p.Name, millis(p.MS))
	}
}

func writeClosed(b *strings.Builder, closed []api.ClosedSession) {
	for _, c := range closed {
		fmt.Fprintf(b, "  session %d: %s\n", c.ID, c.Reason)
	}
}

func writeLines(b *strings.Builder, prefix string, lines []string) {
	for _, line := range lines {
		b.WriteString(prefix + line + "\n")
	}
}

func millis(ms float64) string { return fmt.Sprintf("%.1f ms", ms) }
