package fence

import (
	"context"
	"testing"

	"github.com/onewriter/onewriter/internal/flavor"
)

// oldMySQL is a MySQL 5.6, which has no super_read_only.
type oldMySQL struct {
	flavor.Dialect
	readOnly bool
}

func (oldMySQL) Name() string { return "mysql" }

func (o oldMySQL) ReadOnly(context.Context, flavor.Querier) (readOnly, super bool, err error) {
	return o.readOnly, false, nil
}

func TestFlagsWithoutSuperReadOnly(t *testing.T) {
	for readOnly, want := range map[bool]openness{true: closed, false: open} {
		if got, err := readFlags(t.Context(), nil, oldMySQL{readOnly: readOnly}); got != want || err != nil {
			t.Errorf("read_only %t: %d, %v", readOnly, got, err)
		}
	}
}
