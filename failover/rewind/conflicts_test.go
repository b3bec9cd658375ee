package rewind

import (
	"reflect"
	"testing"

	"github.com/onewriter/onewriter/internal/binlog"
)

func TestConflicts(t *testing.T) {
	change := func(kind binlog.ChangeKind, table string, before, after []any) binlog.Change {
		return binlog.Change{Schema: "app", Table: table, Kind: kind, Before: before, After: after}
	}
	a := []binlog.Transaction{
		{GTID: "0-1-1", Changes: []binlog.Change{change(binlog.Insert, "t", nil, []any{1, "x"}), change(binlog.Insert, "t", nil, []any{2, "x"})}},
		{GTID: "0-1-2", Changes: []binlog.Change{change(binlog.Update, "t", []any{1, "x"}, []any{3, "x"}), change(binlog.Delete, "u", []any{7}, nil)}},
	}
	b := []binlog.Transaction{
		{GTID: "0-2-1", Changes: []binlog.Change{change(binlog.Insert, "t", nil, []any{1, "other"}), change(binlog.Insert, "t", nil, []any{9, "x"})}},
		{GTID: "0-2-2", Changes: []binlog.Change{change(binlog.Update, "t", []any{9, "x"}, []any{3, "y"}), change(binlog.Insert, "u", nil, []any{7})}},
	}
	first := func(_, table string) []int { return map[string][]int{"t": {0}}[table] }
	want := []Conflict{
		{"app", "t", "[1]", []string{"0-1-1", "0-1-2"}, []string{"0-2-1"}},
		{"app", "t", "[3]", []string{"0-1-2"}, []string{"0-2-2"}},
		{"app", "u", "[7]", []string{"0-1-2"}, []string{"0-2-2"}},
	}
	if got := Conflicts(a, b, first); !reflect.DeepEqual(got, want) {
		t.Errorf("by key: %+v", got)
	}
	if got := Conflicts(a, b, nil); len(got) != 1 || got[0].Table != "u" {
		t.Errorf("by whole rows: %+v", got)
	}
	if got := Conflicts(a, nil, first); len(got) != 0 {
		t.Errorf("with nobody: %+v", got)
	}
}
