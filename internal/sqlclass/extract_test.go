package sqlclass

import (
	"fmt"
	"strings"
	"testing"
)

func TestSessionSets(t *testing.T) {
	tests := []struct{ sql, want string }{
		{"SET a = 1", "session a = 1 literal"},
		{"SET a := -1.5, @@b='x,y', SESSION c=ON", "session a = -1.5 literal; session b = 'x,y' literal; session c = ON literal"},
		{"SET @@session.`Sort_Buffer_Size` = 1 + 1", "session sort_buffer_size = 1 + 1"},
		{"SET GLOBAL a=1, SESSION b=DEFAULT, @@c = 2", "global a = 1 literal; session b = DEFAULT literal; session c = 2 literal"},
		{"SET @@GLOBAL.a=1", "global a = 1 literal"},
		{"SET GLOBAL a=1, b=2, @@c=3, d=4", "global a = 1 literal; global b = 2 literal; session c = 3 literal; global d = 4 literal"},
		{"SET @@global.a=1, b=2", "global a = 1 literal; session b = 2 literal"},
		{"SET PERSIST a=1", "global a = 1 literal"},
		{"SET @X = (SELECT MAX(a, b) FROM t), @`y z` = CONCAT('a', 'b')", "user x = (SELECT MAX(a, b) FROM t); user y z = CONCAT('a', 'b')"},
		{"SET NAMES utf8mb4 COLLATE utf8mb4_bin, autocommit=0", "names  = utf8mb4 COLLATE utf8mb4_bin literal; session autocommit = 0 literal"},
		{"SET CHARACTER SET 'latin1'", "charset  = 'latin1' literal"},
		{"SET CHARSET latin1 -- x", "charset  = latin1 literal"},
		{"SET ROLE a, `b`@'%'", "role  = a, `b`@'%' literal"},
		{"SET STATEMENT a=1, b=(SELECT 1) FOR SELECT 1, 2", "statement a = 1 literal; statement b = (SELECT 1)"},
		{"SELECT 1; SET a=1; SET b=2;", "session a = 1 literal; session b = 2 literal"},
		{"/*!40101 SET a=@@b */", "session a = @@b"},
		{"SET a = /* x */ 'y' /* z */;", "session a = 'y' literal"},
		{"SET a=1, PASSWORD='x'", "session a = 1 literal; not ok"},
		{"SET TRANSACTION READ ONLY", "not ok"},
		{"SET SESSION TRANSACTION READ ONLY", "not ok"},
		{"SET a=", "not ok"},
		{"SET a", "not ok"},
		{"SET", "not ok"},
		{"SELECT 1", ""},
	}
	for _, tt := range tests {
		list, ok := SessionSets([]byte(tt.sql), Options{})
		var parts []string
		for _, a := range list {
			part := fmt.Sprintf("%s %s = %s", a.Scope, a.Name, a.Value)
			if a.Literal {
				part += " literal"
			}
			parts = append(parts, part)
		}
		if !ok {
			parts = append(parts, "not ok")
		}
		if got := strings.Join(parts, "; "); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.sql, got, tt.want)
		}
	}
}

func TestPreparedText(t *testing.T) {
	tests := []struct{ sql, want string }{
		{"PREPARE s FROM 'SELECT ''a''\\n, ?';", "s = SELECT 'a'\n, ?"},
		{"prepare `S x` from \"SELECT 1\"", "S x = SELECT 1"},
		{"PREPARE s FROM @v", "no"},
		{"PREPARE s FROM 'SELECT 1'; SELECT 2", "no"},
		{"PREPARE s FROM CONCAT('SELECT ', '1')", "no"},
		{"SELECT 1", "no"},
	}
	for _, tt := range tests {
		got := "no"
		if name, text, ok := PreparedText([]byte(tt.sql), Options{}); ok {
			got = name + " = " + text
		}
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.sql, got, tt.want)
		}
	}
	if name, ok := DeallocatedName([]byte("DROP PREPARE `s`"), Options{}); name != "s" || !ok {
		t.Errorf("DROP PREPARE: %q %v", name, ok)
	}
}

func TestConditional(t *testing.T) {
	for sql, want := range map[string]bool{
		"SET NAMES utf8": false, "SET @a=1 /* !80000 */": false, "/*! SET @a=1 */": false, "/*!40101 SET NAMES utf8 */": false,
		"/*!50600 SET @a=1 */": false, "/*!50601 SET @a=1 */": true, "/*!50701 SET @a=1 */": true, "SET @a=1 /*!100100 , @b=2 */": true,
		"/*M! SET @a=1 */": true, "/*M!100100 SET @a=1 */": true, "SELECT '/*!80000 1 */'": false, "-- /*!80000\nSELECT 1": false,
		"SET /*!40101 @a=1, */ @b=2 /*!99999": true, "/*!080016 SELECT 1 */": true, "/*!5060 SELECT 1 */": false, "/*!": false,
	} {
		if got := Conditional([]byte(sql), Options{}); got != want {
			t.Errorf("%s: %v", sql, got)
		}
	}
}

func TestKilledUser(t *testing.T) {
	for sql, want := range map[string]string{
		"KILL USER bob": "bob", "kill hard connection user 'b''ob' ;": "b'ob", "KILL SOFT USER `Bob`@'%'": "Bob", "KILL USER bob@`%`; -- x": "bob",
		"KILL USER bob@localhost": "", "KILL USER bob@'10.%'": "", "KILL QUERY USER bob": "", "KILL USER": "", "KILL USER bob; SELECT 1": "",
		"KILL USER bob, alice": "", "KILL 5": "", "SELECT 1": "", "KILL USER @a": "", "KILL USER ;": "",
	} {
		if got := KilledUser([]byte(sql), Options{}); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func TestKillTarget(t *testing.T) {
	tests := []struct{ sql, want string }{
		{"KILL 5", "connection 5 5"},
		{"/* x */ kill connection 17;", "connection 17 17"},
		{"KILL HARD QUERY 18446744073709551615", "query 18446744073709551615 18446744073709551615"},
		{"KILL QUERY ID 5", "query_id no"},
		{"KILL USER bob", "user no"},
		{"KILL @id", "connection no"},
		{"KILL QUERY 0x1F", "query 31 0x1F"},
		{"KILL 0X1F", "connection no"},
		{"KILL'17'", "connection 17 17"},
		{"KILL QUERY (+ 17) ; ", "query 17 17"},
		{"KILL (17", "connection no"},
		{"KILL 17)", "connection no"},
		{"KILL -17", "connection no"},
		{"KILL 17.0", "connection no"},
		{"KILL '17x'", "connection no"},
		{"kill/**/soft\n-- x\n query#y\n/*!50000 17 */", "query 17 17"},
		{"KILL QUERY ?", "query placeholder ?"},
		{"KILL CONNECTION_ID()", "connection no"},
		{"KILL 5 + 1", "connection no"},
		{"KILL 5; KILL 6", "connection 5 5 then ; KILL 6"},
		{"/* x */ KILL QUERY ('5') ; ; SELECT 'open", "query 5 5 then ; ; SELECT 'open"},
		{"KILL 5; /*!50000 SELECT 1 */", "connection 5 5 then ; /*!50000 SELECT 1 */"},
		{"KILL 5 /*!50000 ; SELECT 1 */", "connection no"},
		{"/*!50000 KILL 5; SELECT 1 */", "connection no"},
		{"KILL 5 6; SELECT 1", "connection no"},
		{"KILL USER bob; SELECT 1", "user no"},
		{"KILL 5;;", "connection 5 5"},
		{"KILL 5; -- x", "connection 5 5"},
		{"SELECT 5", "connection no"},
	}
	for _, tt := range tests {
		k, ok := KillTarget([]byte(tt.sql), Options{})
		got := k.Kind.String() + " no"
		if ok {
			id := fmt.Sprint(k.ID)
			if k.Placeholder {
				id = "placeholder"
			}
			got = strings.Join([]string{k.Kind.String(), id, tt.sql[k.Start:k.End]}, " ")
			if k.More {
				got += " then " + tt.sql[k.Stop:]
			}
		}
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.sql, got, tt.want)
		}
	}
}
