package sqlclass

import (
	"fmt"
	"testing"
)

func TestLockName(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT GET_LOCK('A', 10)":                    "a true",
		"do get_lock('a',-1)":                         "a true",
		"SELECT RELEASE_LOCK('a') AS x;":              "a true",
		"select release_lock('a') `x`":                "a true",
		"SELECT RELEASE_LOCK('a') FROM t":             "a false",
		"SELECT RELEASE_LOCK('a'), GET_LOCK('b',1)":   "a false",
		"SELECT IF(0, RELEASE_LOCK('a'), 1)":          " false",
		"SELECT RELEASE_LOCK(@a)":                     " false",
		"SELECT RELEASE_LOCK(CONCAT('a', 'b'))":       " false",
		"SELECT RELEASE_LOCK('a' 'b')":                "a false",
		"SELECT RELEASE_LOCK('a\\'')":                 " false",
		"SELECT RELEASE_LOCK('a') WHERE 0":            "a false",
		"SELECT RELEASE_LOCK('a') LIMIT 0":            "a false",
		"SELECT RELEASE_LOCK('a') /*!99999 WHERE 0*/": "a false",
		"SELECT RELEASE_LOCK('a'); SELECT 1":          "a false",
		"SELECT RELEASE_LOCK('a'":                     "a false",
		"SELECT RELEASE_ALL_LOCKS()":                  " false",
	} {
		name, ok := LockName([]byte(sql), Options{})
		if got := fmt.Sprint(name, " ", ok); got != want && !(!ok && want[len(want)-5:] == "false") {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

func TestTemporaryTables(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE TEMPORARY TABLE a (b INT)":                    "[{ a}] true",
		"CREATE OR REPLACE TEMPORARY TABLE IF NOT EXISTS a.b": "[{a b}] true",
		"CREATE TEMPORARY TABLE `a``b` LIKE c":                "[{ a`b}] true",
		"DROP TEMPORARY TABLE a, b.c":                         "[{ a} {b c}] true",
		"DROP TEMPORARY TABLES IF EXISTS a RESTRICT;":         "[{ a}] true",
		"DROP TEMPORARY TABLE a; DROP TABLE b":                "false",
		"DROP TABLE a":                                        "false",
		"CREATE TEMPORARY SEQUENCE s":                         "false",
		"DROP TEMPORARY TABLE /*!99999 x */ a":                "false",
		"CREATE TABLE a (b INT)":                              "false",
	} {
		names, ok := TemporaryTables([]byte(sql), Options{})
		if got := fmt.Sprint(names, ok); got != want && (ok || want != "false") {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

func TestHandlerName(t *testing.T) {
	for sql, want := range map[string]string{
		"HANDLER t OPEN":           "t",
		"HANDLER s.t OPEN AS `H`;": "h",
		"handler t open h":         "h",
		"HANDLER h CLOSE":          "h",
		"HANDLER h READ FIRST":     "",
		"HANDLER h CLOSE; DO 1":    "",
	} {
		name, ok := HandlerName([]byte(sql), Options{})
		if (want != "") != ok || ok && name != want {
			t.Errorf("%s: %q %v, want %q", sql, name, ok, want)
		}
	}
}

func TestUserVariables(t *testing.T) {
	for sql, want := range map[string]string{
		"SET @a=1, @`B c`=@a":                              "[a b c] true",
		"SELECT 1 INTO @x, @'y'":                           "[x y] true",
		"PREPARE p FROM 'SELECT @i:=1'":                    "[i] true",
		"EXECUTE IMMEDIATE 'SELECT @''q'' := ?' USING @u":  "[q u] true",
		"SELECT '@no'":                                     "[] true",
		"SELECT '@open":                                    "[] false",
		"DO 1; PREPARE p FROM 'DO @z:=1'; SELECT '@never'": "[z] true",
	} {
		names, ok := UserVariables([]byte(sql), Options{})
		if got := fmt.Sprint(names, ok); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

func TestConstantUserVariables(t *testing.T) {
	for sql, want := range map[string]string{
		"SET @a=1":                        "a=1 ",
		"SET @a := -1.5e-3, @b='x y'":     "a=-1.5e-3 b='x y' ",
		"SET @a=NULL, @b=TRUE, @c=0x4F":   "a=NULL b=TRUE c=0x4F ",
		"SET @a=1, @a=2":                  "",
		"SET @a=@b, @b=1":                 "",
		"SET @a=1+1, @b=f(), @c=name":     "",
		`SET @a='it''s', @b='\n', @c="x"`: "",
		"SET @a='ä'":                      "",
		"SET @a=x'41', @b=_latin1'x'":     "",
		"SELECT @a:=1":                    "",
		"SET sql_mode='', @a=7":           "a=7 ",
	} {
		got := ""
		for _, a := range ConstantUserVariables([]byte(sql), Options{}) {
			got += a.Name + "=" + a.Value + " "
		}
		if got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}
