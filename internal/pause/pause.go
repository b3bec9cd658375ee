// Package pause waits for a moment in a way that can be ended.
package pause

import (
	"context"
	"time"
)

// For waits for d, or until ctx is done; then the error is ctx's cause.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
