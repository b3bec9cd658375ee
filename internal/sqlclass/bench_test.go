package sqlclass

import (
	"strings"
	"testing"
)

var benchTexts = []struct{ name, sql string }{
	{"point_select", "SELECT c FROM sbtest1 WHERE id=12345"},
	{"select_1", "SELECT 1"},
	{"begin", "BEGIN"},
	{"set_names", "SET NAMES utf8mb4"},
	{"update", "UPDATE sbtest1 SET k=k+1 WHERE id=4711"},
	{"orm_select", "SELECT `t0`.`id`, `t0`.`name`, `t0`.`email` FROM `auth_user` `t0` WHERE (`t0`.`active` = 1 AND `t0`.`name` LIKE 'abc%') ORDER BY `t0`.`id` LIMIT 21"},
	{"insert_64k", "INSERT INTO t (a) VALUES ('" + strings.Repeat("some text ", 6554) + "')"},
	{"insert_rows", "INSERT INTO t (a, b) VALUES " + strings.Repeat("(12345, 'some text'), ", 500) + "(1, 'x')"},
}

func BenchmarkClassify(b *testing.B) {
	for _, bb := range benchTexts {
		sql := []byte(bb.sql)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(sql)))
			for b.Loop() {
				Classify(sql, Options{})
			}
		})
	}
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	for _, tt := range classifyTests {
		sql := []byte(tt.sql)
		if strings.HasPrefix(tt.sql, "PREPARE") {
			continue // escapes in the prepared text are resolved in a copy
		}
		if n := testing.AllocsPerRun(100, func() { Classify(sql, Options{}) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.sql, n)
		}
	}
}
