package rewind

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/onewriter/onewriter/internal/binlog"
)

// undo writes the statement that takes the change back. It changes exactly one row, or the data are not as they were
// after the change.
func (d *definition) undo(c binlog.Change) (string, error) {
	switch c.Kind {
	case binlog.Insert:
		where, err := d.where(c.After)
		return "DELETE FROM " + d.name() + " WHERE " + where, err
	case binlog.Delete:
		return d.insert(c.Before)
	case binlog.Update:
		return d.update(c.After, c.Before)
	default:
		return "", fmt.Errorf("%s.%s: unknown kind of change", d.schema, d.table)
	}
}

// redo writes the statement that would do the change again.
func (d *definition) redo(c binlog.Change) (string, error) {
	switch c.Kind {
	case binlog.Insert:
		return d.insert(c.After)
	case binlog.Delete:
		where, err := d.identify(c.Before)
		return "DELETE FROM " + d.name() + " WHERE " + where, err
	case binlog.Update:
		set, err := d.assignments(c.Before, c.After)
		if err != nil {
			return "", err
		}
		where, err := d.identify(c.Before)
		return "UPDATE " + d.name() + " SET " + set + " WHERE " + where, err
	default:
		return "", fmt.Errorf("%s.%s: unknown kind of change", d.schema, d.table)
	}
}

func (d *definition) insert(row []any) (string, error) {
	var names, values []string
	for i, c := range d.columns {
		if c.generated {
			continue
		}
		v, err := literal(row[i], c)
		if err != nil {
			return "", err
		}
		names, values = append(names, quoteName(c.name)), append(values, v)
	}
	return "INSERT INTO " + d.name() + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")", nil
}

// update writes the statement that makes the row is the row to.
func (d *definition) update(is, to []any) (string, error) {
	set, err := d.assignments(is, to)
	if err != nil {
		return "", err
	}
	where, err := d.where(is)
	return "UPDATE " + d.name() + " SET " + set + " WHERE " + where, err
}

// assignments names what differs, and what the server would otherwise set by itself.
func (d *definition) assignments(is, to []any) (string, error) {
	var set []string
	for i, c := range d.columns {
		if c.generated || reflect.DeepEqual(is[i], to[i]) && !c.refreshed() {
			continue
		}
		v, err := literal(to[i], c)
		if err != nil {
			return "", err
		}
		set = append(set, quoteName(c.name)+" = "+v)
	}
	return strings.Join(set, ", "), nil
}

// unchanged reports whether the images are equal in all columns that can be set.
func (d *definition) unchanged(c binlog.Change) bool {
	for i, col := range d.columns {
		if !col.generated && !reflect.DeepEqual(c.Before[i], c.After[i]) {
			return false
		}
	}
	return true
}

// identify writes a condition for the row in a readable way: its key, or all columns where it has none.
func (d *definition) identify(row []any) (string, error) {
	if d.key == nil {
		return d.where(row)
	}
	var parts []string
	for _, i := range d.key {
		v, err := literal(row[i], d.columns[i])
		if err != nil {
			return "", err
		}
		parts = append(parts, quoteName(d.columns[i].name)+" = "+v)
	}
	return strings.Join(parts, " AND "), nil
}

// where writes a condition that is true for the row only if every column has the value of the image. JSON, whose text
// may differ, and geometries are left to the key where there is one.
func (d *definition) where(row []any) (string, error) {
	var parts []string
	if d.key != nil {
		id, err := d.identify(row)
		if err != nil {
			return "", err
		}
		parts = append(parts, id)
	}
	for i, c := range d.columns {
		if c.generated || d.key != nil && c.dataType == "json" {
			continue
		}
		g, ok, err := guard(row[i], c)
		switch {
		case err != nil:
			return "", err
		case ok:
			parts = append(parts, g)
		case d.key == nil:
			return "", fmt.Errorf("%s.%s has no key, and rows cannot be found by %s", d.schema, d.table, c.name)
		}
	}
	return strings.Join(parts, " AND "), nil
}
