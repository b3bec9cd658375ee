package sqlclass

import (
	"fmt"
	"strings"
	"testing"
)

// The right column is Statement.String: verb, number if more than one, "ro",
// transaction control, effects.
var classifyTests = []struct{ sql, want string }{
	// What applications send all day.
	{"SELECT 1", "select ro"},
	{"select c from sbtest1 where id=12345", "select ro"},
	{"SELECT DISTINCT c FROM t WHERE id BETWEEN ? AND ? ORDER BY c", "select ro"},
	{"SELECT `t0`.`id`, COUNT(*) AS `__count` FROM `auth_user` `t0` WHERE (`t0`.`x` IN (1, 2) AND NOT (`t0`.`y` = 'it''s')) GROUP BY `t0`.`id` HAVING COUNT(`z`) > 3 LIMIT 21", "select ro"},
	{"/* mysql-connector-java-8.0.33 (Revision: 7d6b0800528b6b25c68b52dc10d6c1c8429c100c) */SELECT  @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, @@license AS license, @@sql_mode AS sql_mode, @@wait_timeout AS wait_timeout", "select ro"},
	{"SELECT @@version_comment LIMIT 1", "select ro"},
	{"SELECT @@session.transaction_isolation", "select ro"},
	{"SELECT VERSION(), DATABASE(), USER(), CURRENT_USER(), NOW(6), UUID()", "select ro"},
	{"SELECT LAST_INSERT_ID()", "select ro"},
	{"INSERT INTO t (a, b) VALUES (1, 'x'), (2, NULL)", "insert"},
	{"INSERT INTO `db`.`t` (`a`) VALUES (?) ON DUPLICATE KEY UPDATE `a` = VALUES(`a`)", "insert"},
	{"INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)", "insert last_insert_id_set"},
	{"REPLACE INTO t (a) VALUES (REPLACE('a', 'b', 'c'))", "replace"},
	{"UPDATE t SET a = a + 1 WHERE id = 3", "update"},
	{"DELETE FROM t WHERE a IN (SELECT b FROM u)", "delete"},
	{"SET NAMES utf8mb4", "set set_names"},
	{"SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'", "set set_names"},
	{"SET CHARACTER SET latin1", "set set_names"},
	{"SET autocommit=0", "set set_variable"},
	{"SET @@session.autocommit = OFF", "set set_variable"},
	{"set session transaction isolation level read committed", "set set_transaction"},
	{"SET TRANSACTION READ ONLY", "set set_transaction"},
	{"SET SESSION TRANSACTION READ WRITE", "set set_transaction"},
	{"SET character_set_results = NULL, sql_mode='STRICT_TRANS_TABLES', NAMES utf8mb4", "set set_variable,set_names"},
	{"SET foreign_key_checks = 0", "set set_variable"},
	{"START TRANSACTION", "begin txn=begin"},
	{"BEGIN", "begin txn=begin"},
	{"begin work;", "begin txn=begin"},
	{"COMMIT", "commit txn=end"},
	{"ROLLBACK", "rollback txn=end"},
	{"SAVEPOINT `s1`", "savepoint"},
	{"RELEASE SAVEPOINT s1", "savepoint"},
	{"ROLLBACK TO SAVEPOINT s1", "savepoint"},
	{"ROLLBACK WORK TO s1", "savepoint"},
	{"SHOW VARIABLES LIKE 'lower_case_%'", "show ro"},
	{"SHOW FULL TABLES FROM `app` WHERE Table_type != 'VIEW'", "show ro"},
	{"SHOW CREATE TABLE `warnings`", "show ro"},
	{"SHOW WARNINGS", "show ro"},
	{"USE app", "use"},
	{"SELECT 1;", "select ro"},
	{"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10) DEFAULT 'x', KEY k (a))", "ddl"},
	{"TRUNCATE TABLE t", "ddl"},

	// Reading that is more than reading.
	{"SELECT a FROM t WHERE id=1 FOR UPDATE", "select for_update"},
	{"SELECT a FROM t FOR SHARE SKIP LOCKED", "select for_update"},
	{"SELECT a FROM t LOCK IN SHARE MODE", "select for_update"},
	{"SELECT a FROM t FORCE INDEX FOR JOIN (k)", "select ro"},
	{"SELECT SUBSTRING('abc' FROM 1 FOR 2)", "select ro"},
	{"SELECT * FROM t INTO OUTFILE '/tmp/x'", "select into_outfile"},
	{"SELECT a INTO DUMPFILE '/tmp/x' FROM t", "select into_outfile"},
	{"SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", "select ro"},
	{"SELECT FOUND_ROWS()", "select ro"},
	{"SELECT ROW_COUNT ( )", "select ro"},
	{"SELECT @@identity", "select ro"},
	{"SELECT @@session.last_insert_id", "select ro"},
	{"SELECT t.identity FROM t", "select ro"},
	{"SELECT @@warning_count", "select ro"},
	{"SELECT last_insert_id( 5 )", "select last_insert_id_set"},
	{"SELECT CONNECTION_ID()", "select ro"},
	{"SELECT my_function(1)", "select unknown_function"},
	{"SELECT * FROM t AS a WHERE f(a.x)", "select unknown_function"},
	{"SELECT * FROM t AS a WHERE `f`(a.x)", "select unknown_function"},
	{"SELECT * FROM t AS a JOIN u AS b ON f(b.x)", "select unknown_function"},
	{"SELECT * FROM t AS `a` ORDER BY f(a.x)", "select unknown_function"},
	{"SELECT * FROM t AS a GROUP BY a.x HAVING f(a.x)", "select unknown_function"},
	{"SELECT * FROM t AS a WHERE db.f(1)", "select unknown_function"},
	{"SELECT x AS 'a', f(1)", "select unknown_function"},
	{"SELECT 1 AS a LIMIT 1 UNION SELECT f(1)", "select unknown_function"},
	{"SELECT * FROM t AS a WHERE `get_lock`('x', 1)", "select named_lock"},
	{"SELECT * FROM t AS a USE INDEX (k) WHERE a.x = 1", "select ro"},
	{"SELECT * FROM (SELECT 1) AS t (a)", "select ro"},
	{"INSERT INTO app.t (a) VALUES (1)", "insert"},
	{"INSERT INTO `app`.`t` (a) SELECT 1", "insert"},
	{"INSERT LOW_PRIORITY INTO t (a) VALUES (1)", "insert"},
	{"INSERT LOW_PRIORITY IGNORE t (a) VALUES (1)", "insert"},
	{"INSERT t (a) VALUES (1)", "insert"},
	{"REPLACE DELAYED t (a) VALUES (1)", "replace"},
	{"INSERT INTO t PARTITION (p0) (a) VALUES (1)", "insert"},
	{"INSERT INTO t (a) VALUES (1) AS new (b) ON DUPLICATE KEY UPDATE a = new.b", "insert"},
	{"WITH RECURSIVE c (n) AS (SELECT 1) SELECT n FROM c", "select ro"},
	{"SELECT CASE WHEN CAST(x AS SIGNED) THEN f(1) END", "select unknown_function"},
	{"TABLE t ORDER BY f(a)", "table unknown_function"},
	{"WITH c AS (SELECT 1), d (m) AS (SELECT 2) SELECT n FROM c", "select unknown_function"}, // nothing tells d from a function
	{"SELECT app.lower('A')", "select unknown_function"},
	{"SELECT NEXTVAL(s)", "select sequence_next"},
	{"SELECT NEXT VALUE FOR s", "select sequence_next"},
	{"SELECT PREVIOUS VALUE FOR s, LASTVAL(s)", "select ro"},
	{"SELECT SETVAL(s, 10)", "select sequence_next"},
	{"VALUES ROW(1,2), ROW(3,4)", "values ro"},
	{"TABLE t ORDER BY a LIMIT 3", "table ro"},
	{"(SELECT 1) UNION (SELECT 2)", "select ro"},
	{"((SELECT 1 FOR UPDATE))", "select for_update"},
	{"WITH x AS (SELECT 1 AS a) SELECT * FROM x", "select ro"},
	{"WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM x) SELECT n FROM x", "select ro"},
	{"WITH x AS (SELECT 1 AS a) UPDATE t, x SET t.a = x.a", "update"},
	{"WITH x AS (SELECT 1 AS a) DELETE FROM t WHERE a IN (SELECT a FROM x)", "delete"},
	{"DO SLEEP(0)", "do ro"},
	{"EXPLAIN SELECT * FROM t", "explain ro"},
	{"EXPLAIN FORMAT=JSON UPDATE t SET a=1", "explain"},
	{"DESCRIBE t", "explain ro"},
	{"ANALYZE SELECT * FROM t", "explain ro"},
	{"ANALYZE TABLE t", "admin"},
	{"SHOW PROCESSLIST", "show ro"},
	{"SHOW COUNT(*) ERRORS", "show ro"},
	{"HELP 'select'", "help ro"},

	// User variables.
	{"SET @a = 1", "set user_variable"},
	{"SET @a := 1, @b = 2", "set user_variable"},
	{"SET autocommit=1, @a = 2", "set user_variable,set_variable"},
	{"SELECT @a := 1", "select user_variable"},
	{"SELECT @a:=@a+1 FROM t", "select user_variable"},
	{"SELECT @`a b` /* x */ := 1", "select user_variable"},
	{"SELECT 1 INTO @v", "select user_variable"},
	{"SELECT 1 INTO@v", "select user_variable"},
	{"SELECT a, b INTO @v, @w FROM t", "select user_variable"},
	{"SELECT @a", "select ro"},
	{"UPDATE t SET a := 3", "update"},
	{"CALL p(1, @out)", "call user_variable,opaque"},
	{"LOAD DATA LOCAL INFILE 'x' INTO TABLE t (a, @b) SET c = @b", "load_data user_variable"},
	{"LOAD DATA INFILE 'x' INTO TABLE t", "load_data"},
	{"GET DIAGNOSTICS @n = NUMBER", "diagnostics user_variable"},
	{"CREATE USER app@localhost IDENTIFIED BY 'x'", "account"},
	{"GRANT ALL ON *.* TO 'app'@'%'", "account"},

	// Session state.
	{"SET SESSION sql_mode = 'ANSI', GLOBAL max_connections = 5", "set set_variable"},
	{"SET @@global.read_only = 1", "set"},
	{"SET @@global.a = 1, timestamp = 2", "set set_variable,pinned_variable"},
	{"SET GLOBAL a = 1, timestamp = 2", "set"},
	{"SET GLOBAL a = 1, SESSION timestamp = 2", "set set_variable,pinned_variable"},
	{"SET PERSIST max_connections = 5", "set"},
	{"SET @@`sql_log_bin` = 0", "set set_variable"},
	{"SET sql_log_bin = 0", "set set_variable"},
	{"SET `timestamp` = 1", "set set_variable,pinned_variable"},
	{"SET timestamp = DEFAULT", "set set_variable,pinned_variable"},
	{"SET insert_id=5", "set set_variable,pinned_variable"},
	{"SET last_insert_id=5", "set set_variable,last_insert_id_set"},
	{"SET session_track_gtids='OFF'", "set set_variable,tracker_variable"},
	{"SET ROLE admin", "set set_role"},
	{"SET PASSWORD = 'x'", "set set_password"},
	{"SET RESOURCE GROUP rg", "set untracked"},
	{"SET STATEMENT max_statement_time=1 FOR SELECT 1", "select ro set_statement"},
	{"SET STATEMENT sort_buffer_size=(SELECT 1 FROM t FOR UPDATE) FOR UPDATE t SET a=1", "update set_statement,for_update"},
	{"SET x = (SELECT GET_LOCK('a', 1)), y = 2", "set set_variable,named_lock"},
	{"CREATE TEMPORARY TABLE t (a INT)", "ddl temp_table"},
	{"CREATE OR REPLACE TEMPORARY TABLE t AS SELECT 1", "ddl temp_table"},
	{"DROP TEMPORARY TABLE IF EXISTS t", "ddl temp_table_drop"},
	{"SELECT GET_LOCK('a', 10)", "select named_lock"},
	{"SELECT get_lock /* x */ ('a', 10)", "select named_lock"},
	{"SELECT `get_lock`('a', 10)", "select named_lock"},
	{"SELECT 'get_lock(1)', get_lock FROM t", "select ro"},
	{"DO RELEASE_LOCK('a')", "do named_lock_release"},
	{"DO RELEASE_ALL_LOCKS()", "do named_lock_release_all"},
	{"SELECT IS_FREE_LOCK('a')", "select ro"},
	{"HANDLER t OPEN AS h", "handler handler_open"},
	{"HANDLER t READ FIRST", "handler"},
	{"HANDLER t CLOSE", "handler handler_close"},
	{"LOCK TABLES t READ, u WRITE", "lock table_lock"},
	{"UNLOCK TABLES", "unlock table_unlock"},
	{"LOCK INSTANCE FOR BACKUP", "lock global_read_lock"},
	{"UNLOCK INSTANCE", "unlock"},
	{"FLUSH TABLES WITH READ LOCK", "flush global_read_lock"},
	{"FLUSH NO_WRITE_TO_BINLOG TABLES t FOR EXPORT", "flush global_read_lock"},
	{"FLUSH PRIVILEGES", "flush"},
	{"BACKUP STAGE START", "admin global_read_lock"},
	{"BACKUP STAGE END", "admin"},
	{"BACKUP LOCK t", "admin global_read_lock"},
	{"BACKUP UNLOCK", "admin"},
	{"PREPARE s FROM 'SELECT 1'", "prepare text_prepare"},
	{"PREPARE s FROM 'SELECT ''a'' INTO @v'", "prepare user_variable,text_prepare"},
	{"PREPARE s FROM 'SELECT GET_LOCK(\\'a\\', 1)'", "prepare named_lock,text_prepare"},
	{"PREPARE s FROM @sql", "prepare unclear,text_prepare"},
	{"EXECUTE s", "execute opaque,text_execute"},
	{"EXECUTE s USING @a", "execute user_variable,opaque,text_execute"},
	{"EXECUTE IMMEDIATE 'CREATE TEMPORARY TABLE t (a INT)'", "execute opaque,temp_table,text_execute"},
	{"DEALLOCATE PREPARE s", "deallocate text_deallocate"},
	{"DROP PREPARE s", "deallocate text_deallocate"},
	{"BINLOG 'abc'", "admin untracked"},

	// Transactions.
	{"START TRANSACTION READ ONLY", "begin txn=begin"},
	{"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE", "begin txn=begin"},
	{"COMMIT AND CHAIN", "commit txn=chain"},
	{"COMMIT AND NO CHAIN RELEASE", "commit txn=end"},
	{"ROLLBACK AND CHAIN NO RELEASE", "rollback txn=chain"},
	{"XA START 'x'", "xa txn=begin xa_begin"},
	{"XA END 'x'", "xa"},
	{"XA PREPARE 'x'", "xa xa_prepare"},
	{"XA COMMIT 'x' ONE PHASE", "xa txn=end xa_finish"},
	{"XA RECOVER", "xa"},
	{"START REPLICA", "admin"},
	{"BEGIN NOT ATOMIC SELECT 1; SET @a = 2; END", "compound unclear,opaque"},

	// Several statements.
	{"SELECT 1; SELECT 2", "select x2 ro multi"},
	{"SET NAMES utf8; SELECT 1;", "set x2 set_names,multi"},
	{"SELECT 1;; ;/* x */ SELECT GET_LOCK('a;', 1)", "select x2 named_lock,multi"},
	{"BEGIN; UPDATE t SET a=1; COMMIT", "begin x3 txn=end multi"},
	{"", "empty"},
	{" /* nothing */ ; -- here", "empty"},
	{"KILL QUERY 5", "kill kill_thread"},
	{"CREATE PROCEDURE p() BEGIN SET @a = 1; IF x THEN SELECT CASE WHEN 1 THEN 2 END; END IF; END", "ddl"},
	{"CREATE PROCEDURE p() BEGIN SELECT 1; END; SELECT GET_LOCK('a', 1)", "ddl x2 named_lock,multi"},
	{"CREATE DEFINER=`root`@`%` TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET NEW.a = GET_LOCK('a', 1)", "ddl"},
	{"CREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW BEGIN SELECT 1", "ddl unclear"},

	// Comments and quotes.
	{"SELECT 1 -- FOR UPDATE", "select ro"},
	{"SELECT 1 --1 FOR UPDATE", "select for_update"},
	{"SELECT 1 # FOR UPDATE\n + 1", "select ro"},
	{"SELECT /*+ SET_VAR(timestamp=1) */ 1", "select ro"},
	{"SELECT /* /* FOR UPDATE */ 1", "select ro"},
	{"SELECT /*!40001 SQL_NO_CACHE */ * FROM t", "select ro"},
	{"SELECT * FROM t /*!50000 FOR UPDATE */", "select for_update"},
	{"SELECT * FROM t /*M!100100 FOR UPDATE */", "select for_update"},
	{"/*!40101 SET NAMES utf8 */;", "set set_names"},
	{"/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;", "set user_variable"},
	{"/*!99999 EXPLAIN */ UPDATE t SET a=1", "explain"},
	{"SELECT 1 /*!99999 ' */ FOR UPDATE", "select unclear,for_update"},
	{"SELECT 'it''s; \\' FOR UPDATE', \"a\"\"b\"", "select ro"},
	{"SELECT `a``b; FOR UPDATE` FROM t", "select ro"},
	{"SELECT 'abc", "select unclear"},
	{"SELECT 1 /* abc", "select unclear"},
	{"SET sql_mode='NO_BACKSLASH_ESCAPES'; SELECT 'a\\' FOR UPDATE -- '", "set x2 set_variable,for_update,multi"},
	{"FROBNICATE t", "other unclear"},
	{"SELECT 1.5e-3, .5, 0x1F, x'41', N'a', _utf8'b', \\N", "select ro"},

	// Dollar quotes of MySQL 9, which are names elsewhere: both readings count.
	{`CREATE LIBRARY l LANGUAGE JAVASCRIPT AS $$ // ' $$; SELECT GET_LOCK("a", 0) /* ' */`, "ddl x2 named_lock,multi"},
	{`CREATE LIBRARY l LANGUAGE JAVASCRIPT AS $js$ // $$ ' $js$; SELECT GET_LOCK("a", 0) /* ' */`, "ddl x2 named_lock,multi"},
	{"CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ return 1 // it's $$", "ddl"},
	{"SELECT $$; SELECT GET_LOCK('a', 0) AS $$", "select x2 named_lock,multi"},
	{"SELECT $a$b, $c FROM t", "select ro"},
	{"SELECT $$ FROM t", "select ro"},
	{"EXPLAIN FOR CONNECTION 5", "explain ro"},
	{"EXPLAIN FORMAT=JSON FOR CONNECTION 5", "explain ro"},
	{"EXPLAIN connection", "explain ro"},
	{"SHOW EXPLAIN FORMAT=JSON FOR 5", "show ro"},
	{"SHOW ANALYZE FOR 5", "show ro"},
}

func TestClassify(t *testing.T) {
	for _, tt := range classifyTests {
		if got := Classify([]byte(tt.sql), Options{}).String(); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.sql, got, tt.want)
		}
	}
}

func TestClassifyOptions(t *testing.T) {
	tests := []struct {
		sql  string
		opt  Options
		want string
	}{
		{`SELECT '\' FOR UPDATE -- '`, Options{NoBackslashEscapes: true}, "select for_update"},
		{`SELECT '\' FOR UPDATE -- '`, Options{}, "select ro"},
		{"SELECT '\x95\\' FOR UPDATE", Options{Multibyte: ShiftJIS}, "select for_update"},
		{"SELECT '\x95\\' FOR UPDATE'", Options{}, "select ro"},
		{"SELECT '\xb1\\' FOR UPDATE'", Options{Multibyte: ShiftJIS}, "select ro"},
		{"SELECT '\xb1\\' FOR UPDATE", Options{Multibyte: DoubleByte}, "select for_update"},
		{"SELECT \x95`a FROM t", Options{Multibyte: DoubleByte}, "select ro"},
	}
	for _, tt := range tests {
		if got := Classify([]byte(tt.sql), tt.opt).String(); got != tt.want {
			t.Errorf("%q %+v\n got %s\nwant %s", tt.sql, tt.opt, got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	if effectEnd != 1<<len(effectNames) {
		t.Errorf("%d effect names for effects up to %b", len(effectNames), uint64(effectEnd))
	}
	for v := range verbCount {
		if v.String() == "" {
			t.Errorf("verb %d has no name", v)
		}
	}
}

// A text full of dollar quotes without an end is not searched again for each of them.
func TestUnclosedDollarQuotes(t *testing.T) {
	few := "SELECT 1"
	for range maxUnclosed {
		few += " $a$ $b$ $a$ $b$"
	}
	var b strings.Builder
	b.WriteString("SELECT 1")
	for i := range 1 << 17 {
		fmt.Fprintf(&b, " $%d$", i)
	}
	if s := Classify([]byte(few), Options{}); s.Effects.Has(Unclear) {
		t.Errorf("%v", s)
	}
	if s := Classify([]byte(b.String()), Options{}); !s.Effects.Has(Unclear) || s.ReadOnly {
		t.Errorf("%v", s)
	}
}
