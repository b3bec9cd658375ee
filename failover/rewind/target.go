package rewind

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/flavor"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/internal/pause"
	"github.com/onewriter/onewriter/topology"
)

// Target is the server whose tail is undone.
type Target struct {
	Name string
	// DB logs in with an account that may write in spite of read_only, set sql_log_bin, and SELECT, INSERT, UPDATE,
	// DELETE and see TRIGGERs of the tables. For Onewriter's own tables the control account does.
	DB      *sql.DB
	Dialect flavor.Dialect
	// Have is the history of the primary with which the errant transactions were found. What both have is what the
	// server claims afterwards. Unknown or a file position only on MySQL with GTID off.
	Have gtid.Position
	// Binlog is how the server's binary log is read.
	Binlog binlog.Source
	// FilePos: its link goes by file and position. Since is then the place in its binary log up to which the primary had
	// everything when it was opened; what the link has brought since is fetched again if any of it has to be.
	FilePos bool
	Since   gtid.Position
	// ControlUser is the user whose own reading of the binary log is no replica.
	ControlUser string
}

// quiet checks that nobody writes to the server, feeds it or reads from it.
func (t Target) quiet(ctx context.Context) (topology.Facts, error) {
	facts, err := t.Dialect.Observe(ctx, t.DB)
	if err != nil {
		return facts, fmt.Errorf("observe %s: %w", t.Name, err)
	}
	if !facts.ReadOnly {
		return facts, fmt.Errorf("%w: %s is writable", ErrNotQuiet, t.Name)
	}
	for _, l := range facts.Links {
		if l.IO != topology.ThreadNo || l.SQL != topology.ThreadNo {
			return facts, fmt.Errorf("%w: replication from %s runs on %s", ErrNotQuiet, l.Source, t.Name)
		}
	}
	if err := t.unread(ctx); err != nil {
		return facts, err
	}
	prepared, err := t.Dialect.PreparedXA(ctx, t.DB)
	if err == nil && prepared > 0 {
		err = fmt.Errorf("%w: %d XA transactions are prepared on %s", ErrNotQuiet, prepared, t.Name)
	}
	return facts, err
}

// leaveTime is how long a replica that has gone is still in the process list: until the next heartbeat to it fails.
const leaveTime = 5 * time.Second

// unread waits a moment until nobody reads the server's binary log.
func (t Target) unread(ctx context.Context) error {
	for until := time.Now().Add(leaveTime); ; {
		n, err := flavor.LogReaders(ctx, t.DB, t.ControlUser)
		if err != nil {
			return fmt.Errorf("look for replicas of %s: %w", t.Name, err)
		}
		if n == 0 {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("%w: %d replicas read the binary log of %s", ErrNotQuiet, n, t.Name)
		}
		if err := pause.For(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// claimed is the history that is left without the errant transactions; unknown where the server has none by GTID.
func (t Target) claimed(own gtid.Position) (gtid.Position, error) {
	if own.Kind() == gtid.KindFile || own.Kind() == gtid.KindUnknown {
		return gtid.Position{}, nil
	}
	if t.Have.Kind() != own.Kind() {
		return gtid.Position{}, fmt.Errorf("the history of the primary is %q, that of %s is %q: %w", t.Have, t.Name, own,
			errors.New("they cannot be compared"))
	}
	return gtid.Common(own, t.Have), nil
}
