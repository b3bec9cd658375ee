package flavor

import (
	"context"
	"fmt"
	"strconv"
)

// SharpenPositions makes a replica with a multi-threaded applier report its applied file and offset at once instead
// of every replica_checkpoint_period milliseconds (300 by default; MySQL only, the variable was called
// slave_checkpoint_period before 8.0.26). SOURCE_POS_WAIT wakes up no earlier than that. before is the period to give
// to RestorePositions later; 0 means that there is nothing to restore.
func SharpenPositions(ctx context.Context, q Querier, d Dialect) (before int, err error) {
	if d.Name() != "mysql" {
		return 0, nil
	}
	vars, err := variables(ctx, q, "Variable_name IN ('replica_checkpoint_period', 'slave_checkpoint_period')")
	if err != nil {
		return 0, fmt.Errorf("read the applier's checkpoint period: %w", err)
	}
	for name, value := range vars {
		ms, err := strconv.Atoi(value)
		if err != nil || ms <= 1 {
			return 0, nil
		}
		return ms, exec(ctx, q, "SET GLOBAL "+name+" = 1")
	}
	return 0, nil
}

// RestorePositions undoes SharpenPositions.
func RestorePositions(ctx context.Context, q Querier, before int) error {
	if before == 0 {
		return nil
	}
	vars, err := variables(ctx, q, "Variable_name IN ('replica_checkpoint_period', 'slave_checkpoint_period')")
	if err != nil {
		return fmt.Errorf("read the applier's checkpoint period: %w", err)
	}
	for name := range vars {
		return exec(ctx, q, fmt.Sprintf("SET GLOBAL %s = %d", name, before))
	}
	return nil
}
