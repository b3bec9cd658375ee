package binlog

import (
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// columnsOf reads what a table map event tells of the columns.
func columnsOf(m *replication.TableMapEvent) []Column {
	out := make([]Column, m.ColumnCount)
	unsigned := m.UnsignedMap()
	for i := range out {
		c := Column{Type: m.ColumnType[i], Meta: m.ColumnMeta[i], Nullable: m.NullBitmap[i/8]&(1<<(i%8)) != 0}
		if c.Type == mysql.MYSQL_TYPE_STRING && c.Meta >= 256 {
			if real := byte(c.Meta >> 8); real == mysql.MYSQL_TYPE_ENUM || real == mysql.MYSQL_TYPE_SET {
				c.Type, c.Meta = real, c.Meta&0xff
			}
		}
		c.Unsigned, c.Signedness = unsigned[i], len(unsigned) > 0
		if i < len(m.ColumnName) {
			c.Name = string(m.ColumnName[i])
		}
		out[i] = c
	}
	return out
}

// kindOf tells what an event does to its rows.
func kindOf(t replication.EventType) (ChangeKind, bool) {
	switch t {
	case replication.WRITE_ROWS_EVENTv0, replication.WRITE_ROWS_EVENTv1, replication.WRITE_ROWS_EVENTv2,
		replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1:
		return Insert, true
	case replication.UPDATE_ROWS_EVENTv0, replication.UPDATE_ROWS_EVENTv1, replication.UPDATE_ROWS_EVENTv2,
		replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1, replication.PARTIAL_UPDATE_ROWS_EVENT:
		return Update, true
	case replication.DELETE_ROWS_EVENTv0, replication.DELETE_ROWS_EVENTv1, replication.DELETE_ROWS_EVENTv2,
		replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1:
		return Delete, true
	default:
		return 0, false
	}
}

// changesOf gives the changes of one rows event. The values do not refer to the packet.
func changesOf(kind ChangeKind, e *rowsEvent) []Change {
	c := Change{Kind: kind}
	if e.Table != nil {
		c.Schema, c.Table, c.Columns = string(e.Table.Schema), string(e.Table.Table), columnsOf(e.Table)
	}
	step := 1
	if kind == Update {
		step = 2
	}
	if e.unreadable == "" && len(e.Rows)%step != 0 {
		e.unreadable = "an image without its counterpart"
	}
	if e.unreadable != "" {
		c.Unreadable = e.unreadable
		return []Change{c}
	}
	out := make([]Change, 0, len(e.Rows)/step)
	for i := 0; i < len(e.Rows); i += step {
		out = append(out, c.with(e, i))
	}
	return out
}

// with fills in the images that begin at row i.
func (c Change) with(e *rowsEvent, i int) Change {
	switch c.Kind {
	case Insert:
		c.After = owned(e.Rows[i])
	case Delete:
		c.Before = owned(e.Rows[i])
	case Update:
		c.Before, c.After = owned(e.Rows[i]), owned(e.Rows[i+1])
	}
	for j := i; j < len(e.SkippedColumns) && j < i+2 && (j == i || c.Kind == Update); j++ {
		c.Missing = append(c.Missing, e.SkippedColumns[j]...)
	}
	slices.Sort(c.Missing)
	c.Missing = slices.Compact(c.Missing)
	return c
}

// owned copies what points into the packet.
func owned(row []any) []any {
	for i, v := range row {
		switch v := v.(type) {
		case []byte:
			row[i] = slices.Clone(v)
			if v != nil && row[i].([]byte) == nil {
				row[i] = []byte{}
			}
		case string:
			row[i] = strings.Clone(v)
		}
	}
	return row
}

// hasDiff reports whether a value is a difference of JSON documents instead of a document.
func hasDiff(row []any) bool {
	return slices.ContainsFunc(row, func(v any) bool { _, diff := v.(*replication.JsonDiff); return diff })
}
