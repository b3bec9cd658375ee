package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/onewriter/onewriter/internal/flavor"
)

// rights are the global privileges of the account behind a connection.
type rights struct {
	global map[string]bool
	roles  bool // it has roles, whose rights are not among these
}

// readRights reads them from SHOW GRANTS.
func readRights(ctx context.Context, q flavor.Querier) (rights, error) {
	rs, err := flavor.Rows(ctx, q, "SHOW GRANTS")
	if err != nil {
		return rights{}, fmt.Errorf("read the own grants: %w", err)
	}
	r := rights{global: map[string]bool{}}
	for _, row := range rs {
		for _, line := range row {
			r.add(line)
		}
	}
	return r, nil
}

// add reads one line: GRANT A, B ON *.* TO ...
func (r *rights) add(line string) {
	if !strings.Contains(line, " ON ") {
		r.roles = true
		return
	}
	list, _, global := strings.Cut(line, " ON *.* TO ")
	list, grant := strings.CutPrefix(list, "GRANT ")
	if !global || !grant {
		return
	}
	for right := range strings.SplitSeq(list, ",") {
		r.global[strings.TrimSpace(right)] = true
	}
}

// has reports whether the account has one of the rights, or all.
func (r rights) has(any ...string) bool {
	if r.global["ALL PRIVILEGES"] {
		return true
	}
	for _, name := range any {
		if r.global[name] {
			return true
		}
	}
	return false
}
