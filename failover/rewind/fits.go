package rewind

import (
	"fmt"
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/onewriter/onewriter/internal/binlog"
)

// fits says in which column the table is no longer as it was when the change was logged, "" when in none.
func (d *definition) fits(c binlog.Change) string {
	if len(c.Columns) != len(d.columns) {
		return fmt.Sprintf("it had %d columns and has %d", len(c.Columns), len(d.columns))
	}
	for i, logged := range c.Columns {
		now := d.columns[i]
		switch {
		case logged.Name != "" && logged.Name != now.name:
			return fmt.Sprintf("column %d was called %s and is called %s", i+1, logged.Name, now.name)
		case logged.Signedness && numeric(logged.Type) && logged.Unsigned != now.unsigned():
			return fmt.Sprintf("column %s has changed its sign", now.name)
		case logged.Nullable != now.nullable && !now.generated:
			return fmt.Sprintf("column %s has changed whether it can be NULL", now.name)
		case !sameType(logged, now):
			return fmt.Sprintf("column %s was of type %d (%d) and is %s, or this type is not supported", now.name, logged.Type, logged.Meta, now.columnType)
		}
	}
	return ""
}

func numeric(t byte) bool {
	return slices.Contains([]byte{mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_SHORT, mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_LONG,
		mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_NEWDECIMAL, mysql.MYSQL_TYPE_FLOAT, mysql.MYSQL_TYPE_DOUBLE}, t)
}

// dataTypes are the types of information_schema that a type of the protocol can stand for, where its length says no more.
var dataTypes = map[byte][]string{
	mysql.MYSQL_TYPE_TINY:     {"tinyint"},
	mysql.MYSQL_TYPE_SHORT:    {"smallint"},
	mysql.MYSQL_TYPE_INT24:    {"mediumint"},
	mysql.MYSQL_TYPE_LONG:     {"int"},
	mysql.MYSQL_TYPE_LONGLONG: {"bigint"},
	mysql.MYSQL_TYPE_FLOAT:    {"float"},
	mysql.MYSQL_TYPE_DOUBLE:   {"double"},
	mysql.MYSQL_TYPE_YEAR:     {"year"},
	mysql.MYSQL_TYPE_DATE:     {"date"},
	mysql.MYSQL_TYPE_NEWDATE:  {"date"},
	mysql.MYSQL_TYPE_ENUM:     {"enum"},
	mysql.MYSQL_TYPE_SET:      {"set"},
	mysql.MYSQL_TYPE_JSON:     {"json"},
	mysql.MYSQL_TYPE_VECTOR:   {"vector"},
	mysql.MYSQL_TYPE_GEOMETRY: {
		"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection", "geometrycollection",
	},
}

// blobTypes are those of a blob by the bytes of its length.
var blobTypes = map[uint16][]string{
	1: {"tinyblob", "tinytext"}, 2: {"blob", "text"}, 3: {"mediumblob", "mediumtext"}, 4: {"longblob", "longtext"},
}

// sameType compares the logged type with the one of now, with lengths where the log has them.
func sameType(logged binlog.Column, now column) bool {
	is := func(names ...string) bool { return slices.Contains(names, now.dataType) }
	switch logged.Type {
	case mysql.MYSQL_TYPE_NEWDECIMAL:
		return is("decimal") && int64(logged.Meta>>8) == now.precision.Int64 && int64(logged.Meta&0xff) == now.scale.Int64
	case mysql.MYSQL_TYPE_TIME2:
		return is("time") && int64(logged.Meta) == now.fraction.Int64
	case mysql.MYSQL_TYPE_DATETIME2:
		return is("datetime") && int64(logged.Meta) == now.fraction.Int64
	case mysql.MYSQL_TYPE_TIMESTAMP2:
		return is("timestamp") && int64(logged.Meta) == now.fraction.Int64
	case mysql.MYSQL_TYPE_TIME, mysql.MYSQL_TYPE_DATETIME, mysql.MYSQL_TYPE_TIMESTAMP:
		return is("time", "datetime", "timestamp") && now.fraction.Int64 == 0
	case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING:
		return is("varchar", "varbinary") && int64(logged.Meta) == now.octets.Int64
	case mysql.MYSQL_TYPE_STRING:
		return is("char", "binary") && stringLength(logged.Meta) == now.octets.Int64
	case mysql.MYSQL_TYPE_BIT:
		return is("bit") && int64(logged.Meta>>8)*8+int64(logged.Meta&0xff) == now.precision.Int64
	case mysql.MYSQL_TYPE_BLOB:
		return is(blobTypes[logged.Meta]...)
	default:
		return is(dataTypes[logged.Type]...)
	}
}

// stringLength takes the length in bytes out of the meta data of CHAR and BINARY, whose upper two bits hide in the type.
func stringLength(meta uint16) int64 {
	upper, lower := meta>>8, meta&0xff
	return int64((upper&0x30^0x30)<<4 | lower)
}
