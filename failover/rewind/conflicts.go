package rewind

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/onewriter/onewriter/internal/binlog"
)

// Conflict is a row that was written on both sides.
type Conflict struct {
	Schema, Table string
	// Key is the row's primary key as text, values in the order of the key; the whole row where the key is not known.
	Key string
	// A and B are the transactions that wrote it, by GTID, or by place where there is none.
	A, B []string
}

// rowKey names a row.
type rowKey struct{ schema, table, key string }

// Keys tells which columns identify the rows of a table, by index; nil when that is not known.
type Keys func(schema, table string) []int

// Conflicts lists the rows that both have written, sorted by table and key. keys says how rows are identified; without
// it, or for a table it does not know, whole images of rows are compared.
func Conflicts(a, b []binlog.Transaction, keys Keys) []Conflict {
	one, other := written(a, keys), written(b, keys)
	var out []Conflict
	for k, by := range one {
		if theirs, ok := other[k]; ok {
			out = append(out, Conflict{Schema: k.schema, Table: k.table, Key: k.key, A: by, B: theirs})
		}
	}
	slices.SortFunc(out, func(x, y Conflict) int {
		return cmp.Or(cmp.Compare(x.Schema, y.Schema), cmp.Compare(x.Table, y.Table), cmp.Compare(x.Key, y.Key))
	})
	return out
}

// written gives the transactions that wrote each row.
func written(list []binlog.Transaction, keys Keys) map[rowKey][]string {
	out := map[rowKey][]string{}
	for _, t := range list {
		id := cmp.Or(t.GTID, t.Place.String())
		for _, c := range t.Changes {
			var columns []int
			if keys != nil {
				columns = keys(c.Schema, c.Table)
			}
			for _, image := range [][]any{c.Before, c.After} {
				if image == nil {
					continue
				}
				k := rowKey{c.Schema, c.Table, keyText(image, columns)}
				if !slices.Contains(out[k], id) {
					out[k] = append(out[k], id)
				}
			}
		}
	}
	return out
}

func keyText(image []any, columns []int) string {
	if columns == nil {
		return fmt.Sprintf("%v", image)
	}
	values := make([]any, 0, len(columns))
	for _, i := range columns {
		if i < len(image) {
			values = append(values, image[i])
		}
	}
	return fmt.Sprintf("%v", values)
}
