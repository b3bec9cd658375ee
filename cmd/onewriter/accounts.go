package main

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/onewriter/onewriter/internal/flavor"
)

const (
	accountsEvery   = time.Minute
	accountsRetry   = 2 * time.Second // after a failure, and until there is a server to ask
	accountsTimeout = 5 * time.Second
)

// accountWatch knows the accounts that read_only does not stop: an application that uses one could write to a standby.
type accountWatch struct {
	source func() *sql.DB // nil while there is no server to ask
	log    zerolog.Logger
	found  atomic.Pointer[[]string]
}

// Run looks for such accounts every minute until ctx is done, and logs when there are others than before.
func (w *accountWatch) Run(ctx context.Context) {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		if w.look(ctx) {
			next.Reset(accountsEvery)
		} else {
			next.Reset(accountsRetry)
		}
	}
}

// look asks once; it reports whether there was an answer.
func (w *accountWatch) look(ctx context.Context) bool {
	db := w.source()
	if db == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, accountsTimeout)
	defer cancel()
	d, err := flavor.Detect(ctx, db)
	if err != nil {
		return false
	}
	names, err := d.PrivilegedAccounts(ctx, db)
	if err != nil {
		w.log.Debug().Err(err).Msg("cannot look for privileged accounts")
		return false
	}
	if before := w.found.Swap(&names); len(names) > 0 && (before == nil || !slices.Equal(*before, names)) {
		w.log.Warn().Strs("accounts", names).Msg("accounts can write to a server in spite of read_only")
	}
	return true
}

// problem says what is found in a sentence about a standby, "" when there is nothing to say.
func (w *accountWatch) problem() string {
	names := w.found.Load()
	if names == nil || len(*names) == 0 {
		return ""
	}
	return fmt.Sprintf("It is read_only, but these accounts could write to it, or open it, when they connect to it directly (SUPER or an administrator's privilege): %s. No application should use them.",
		strings.Join(*names, ", "))
}
