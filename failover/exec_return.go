package failover

import (
	"context"
	"errors"
)

// comebackRun is what the steps of one return hand on to each other and to the result.
type comebackRun struct {
	server   string
	errant   []ErrantTransaction
	undone   string
	commands []string
}

func (e *executor) carryOutReturn(ctx context.Context, a actRun, out *done) error {
	return errors.New("not yet")
}
