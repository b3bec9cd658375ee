package rewind

import (
	"database/sql"
	"math"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/onewriter/onewriter/internal/binlog"
)

func TestLiterals(t *testing.T) {
	utf8, latin, raw := column{dataType: "varchar", charset: "utf8mb4"}, column{dataType: "text", charset: "latin1"}, column{dataType: "blob"}
	for _, c := range []struct {
		v    any
		col  column
		want string
	}{
		{nil, utf8, "NULL"},
		{int8(-1), column{columnType: "tinyint"}, "-1"},
		{int8(-1), column{columnType: "tinyint unsigned"}, "255"},
		{int32(-1), column{dataType: "mediumint", columnType: "mediumint unsigned"}, "16777215"},
		{int32(-1), column{dataType: "int", columnType: "int unsigned"}, "4294967295"},
		{int64(-1), column{dataType: "bigint", columnType: "bigint unsigned"}, "18446744073709551615"},
		{uint64(math.MaxUint64), column{dataType: "bigint", columnType: "bigint unsigned"}, "18446744073709551615"},
		{int64(-1), column{dataType: "bit", columnType: "bit(64)"}, "18446744073709551615"},
		{float32(0.1), column{dataType: "float"}, "1.0000000149011612e-01"},
		{"12.50", column{dataType: "decimal"}, "12.50"},
		{"2026-01-02", column{dataType: "date"}, "'2026-01-02'"},
		{"it's \\ \n 😀", utf8, `'it\'s \\ \n 😀'`},
		{"caf\xe9", utf8, "_utf8mb4 X'636166e9'"},
		{[]byte("caf\xe9"), latin, "_latin1 X'636166e9'"},
		{[]byte{}, raw, "X''"},
		{[]byte{0, 255}, raw, "X'00ff'"},
	} {
		got, err := literal(c.v, c.col)
		if err != nil || got != c.want {
			t.Errorf("%v in %+v: %s, %v, want %s", c.v, c.col, got, err, c.want)
		}
	}
	if got, err := literal(struct{}{}, utf8); err == nil {
		t.Errorf("something unknown is %s", got)
	}
}

func TestDefinitionsThatFit(t *testing.T) {
	n := func(v int64) sql.NullInt64 { return sql.NullInt64{Int64: v, Valid: true} }
	for name, c := range map[string]struct {
		logged binlog.Column
		now    column
		fits   bool
	}{
		"int":               {binlog.Column{Type: mysql.MYSQL_TYPE_LONG}, column{dataType: "int"}, true},
		"int to bigint":     {binlog.Column{Type: mysql.MYSQL_TYPE_LONG}, column{dataType: "bigint"}, false},
		"sign":              {binlog.Column{Type: mysql.MYSQL_TYPE_LONG, Signedness: true}, column{dataType: "int", columnType: "int unsigned"}, false},
		"sign not told":     {binlog.Column{Type: mysql.MYSQL_TYPE_LONG}, column{dataType: "int", columnType: "int unsigned"}, true},
		"decimal":           {binlog.Column{Type: mysql.MYSQL_TYPE_NEWDECIMAL, Meta: 20<<8 | 6}, column{dataType: "decimal", precision: n(20), scale: n(6)}, true},
		"other scale":       {binlog.Column{Type: mysql.MYSQL_TYPE_NEWDECIMAL, Meta: 20<<8 | 6}, column{dataType: "decimal", precision: n(20), scale: n(5)}, false},
		"datetime":          {binlog.Column{Type: mysql.MYSQL_TYPE_DATETIME2, Meta: 6}, column{dataType: "datetime", fraction: n(6)}, true},
		"other fraction":    {binlog.Column{Type: mysql.MYSQL_TYPE_DATETIME2, Meta: 6}, column{dataType: "datetime", fraction: n(3)}, false},
		"varchar":           {binlog.Column{Type: mysql.MYSQL_TYPE_VARCHAR, Meta: 400}, column{dataType: "varchar", octets: n(400)}, true},
		"longer varchar":    {binlog.Column{Type: mysql.MYSQL_TYPE_VARCHAR, Meta: 400}, column{dataType: "varchar", octets: n(800)}, false},
		"char":              {binlog.Column{Type: mysql.MYSQL_TYPE_STRING, Meta: uint16(mysql.MYSQL_TYPE_STRING)<<8 | 40}, column{dataType: "char", octets: n(40)}, true},
		"long char":         {binlog.Column{Type: mysql.MYSQL_TYPE_STRING, Meta: 0xce<<8 | 0xfc}, column{dataType: "char", octets: n(1020)}, true},
		"shorter char":      {binlog.Column{Type: mysql.MYSQL_TYPE_STRING, Meta: 0xce<<8 | 0xfc}, column{dataType: "char", octets: n(252)}, false},
		"text":              {binlog.Column{Type: mysql.MYSQL_TYPE_BLOB, Meta: 2}, column{dataType: "text"}, true},
		"text to long text": {binlog.Column{Type: mysql.MYSQL_TYPE_BLOB, Meta: 2}, column{dataType: "longtext"}, false},
		"bit":               {binlog.Column{Type: mysql.MYSQL_TYPE_BIT, Meta: 1<<8 | 2}, column{dataType: "bit", precision: n(10)}, true},
		"name":              {binlog.Column{Name: "v", Type: mysql.MYSQL_TYPE_LONG}, column{name: "w", dataType: "int"}, false},
		"null":              {binlog.Column{Type: mysql.MYSQL_TYPE_LONG, Nullable: true}, column{dataType: "int"}, false},
	} {
		d := definition{columns: []column{c.now}}
		if why := d.fits(binlog.Change{Columns: []binlog.Column{c.logged}}); (why == "") != c.fits {
			t.Errorf("%s: %q", name, why)
		}
	}
}
