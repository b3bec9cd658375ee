package rejoin

import (
	"context"
	"time"

	"github.com/onewriter/onewriter/topology"
)

// KeepApart stops the link of primary to old if any thread of it runs, and reports whether one did. A stopped link
// starts by itself when its server restarts, and would fetch, on MySQL silently, what only old has. Call it while old is
// away and whenever primary may have restarted; what was applied before the call stays.
func KeepApart(ctx context.Context, old, primary Server) (ran bool, err error) {
	facts, err := primary.observe(ctx)
	if err != nil {
		return false, err
	}
	l, there := linkTo(facts.Links, old, old.serverID(ctx))
	if !there || !anyThread([]topology.Link{l}) {
		return false, nil
	}
	return true, stopLink(ctx, primary, l)
}

// askID bounds the question to a server that was left behind. One that hangs accepts connections and never answers, and
// must not use up the time that is needed for the primary.
const askID = 500 * time.Millisecond

// serverID asks for the server_id; 0 when the server does not answer within half a second.
func (s Server) serverID(ctx context.Context) (id uint32) {
	ctx, cancel := context.WithTimeout(ctx, askID)
	defer cancel()
	if err := s.DB.QueryRowContext(ctx, "SELECT @@global.server_id").Scan(&id); err != nil {
		return 0
	}
	return id
}
