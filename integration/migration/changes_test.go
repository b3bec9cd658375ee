package migration

import (
	"fmt"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// comments are the executable ones, as dumps are full of them: not every server runs all of them.
func (g generator) comments() []step {
	mark := g.pick("!", "!40101", "!50503", "!50701", "!80000", "!80400", "!99999", "!100100", "!999999", "M!", "M!100000", "M!999999")
	name, value := g.variable()
	inner := g.pick("SET NAMES latin1", "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO'", "SET @a="+g.value(),
		"SET @OLD=@@SQL_NOTES, SQL_NOTES=0", "SET SQL_NOTES=@OLD", "SET "+g.scoped(name)+"="+value, "SET ROLE reader", "PREPARE p1 FROM 'SELECT 8'",
		"DROP PREPARE p1", "UNLOCK TABLES", "SELECT LAST_INSERT_ID(5)", "SET TIME_ZONE='+00:00'", "SET @a=5, @b='x'", "SELECT 1 INTO @a",
		"SET TRANSACTION READ ONLY", "USE app_two", "SET character_set_client = utf8mb4", "BEGIN", "SET autocommit=0")
	text := fmt.Sprintf("/*%s %s */", mark, inner)
	if g.IntN(4) == 0 {
		text = g.pick("SET sort_buffer_size=70000 /*"+mark+" , NAMES latin1 */", "SELECT 1 /*"+mark+" , @a:=5 */",
			"SET @a=/*"+mark+" 1+*/ 5", "SET /*"+mark+" sql_notes=0, */ @b=2", "SELECT /*"+mark+" 1, */ 'a' /*"+mark+" -- */ */",
			"SET "+g.scoped(name)+"=/*"+mark+" "+value+" --*/\n"+value, "SET @a=1;/*"+mark+" SET @a=2 */;", "/*"+mark+" SET sql_mode='' */;",
			"/*"+mark+" SET @b=1 */ /*"+mark+" , @a=2 */")
	}
	return one(step{kind: kindQuery, sql: text}.holding("unknown", "user_variable", "insert_id"))
}

// preparedChange are statements of the binary protocol that change the session.
func (g generator) preparedChange() []step {
	slot := g.slot()
	list := []string{
		"SELECT ? INTO @a", "SELECT 5, ? INTO @a, @b", "SET SESSION sort_buffer_size=?", "SET @@sort_buffer_size=77001", "SET NAMES latin1 COLLATE latin1_bin",
		"SET SESSION sql_mode='ANSI_QUOTES'", "SELECT @a:=a FROM app.rows4 WHERE a=?", "SELECT LAST_INSERT_ID(?)", "CALL app.set_user(LENGTH(?))", "DO app.sets(LENGTH(?))",
		"COMMIT", "SET ROLE reader", "SET time_zone='+03:00'", "SET @@long_query_time=?",
		"INSERT INTO app.counted (v) VALUES (@a:=?)", "SET autocommit=0", "SET SESSION TRANSACTION READ ONLY", "SET max_sort_length=1024+?",
	}
	p := step{kind: kindPrepare, slot: slot, sql: g.pick(list...)}.holding("user_variable", "unknown", "routine", "insert_id")
	steps := []step{p}
	for range 1 + g.IntN(2) {
		steps = append(steps, step{kind: kindExecute, slot: slot, count: g.IntN(9), types: true})
	}
	if g.IntN(2) == 0 {
		steps = append(steps, step{kind: kindClose, slot: slot})
	}
	return steps
}

// immediate is text that is run from strings.
func (g generator) immediate() []step {
	name, value := g.variable()
	text := quoted("SET " + g.scoped(name) + "=" + value)
	list := []string{
		"PREPARE p1 FROM " + text, "EXECUTE p1", "EXECUTE p2", "PREPARE p2 FROM 'SELECT ?, @a:=?'", "EXECUTE p2 USING @a, @b", "EXECUTE p1 USING @a",
		"PREPARE p2 FROM 'SELECT ?, 1'", "PREPARE p1 FROM 'SELECT LAST_INSERT_ID(7)'",
	}
	if g.place.flavor == mysqltest.MariaDB {
		list = append(list, "PREPARE p2 FROM 'SELECT @a, @b+1, CONCAT(@c)'", "EXECUTE IMMEDIATE "+text, "EXECUTE IMMEDIATE 'SET @a=?' USING 5", "SET STATEMENT sort_buffer_size=100000 FOR SET @a=5",
			"SET STATEMENT sort_buffer_size=100000 FOR SET SESSION read_buffer_size=50000", "SET STATEMENT sql_mode='ANSI_QUOTES' FOR PREPARE p1 FROM 'SELECT 1'",
			"SET STATEMENT time_zone='+05:00' FOR EXECUTE p1", "SET STATEMENT sort_buffer_size=100000 FOR USE app_two", "SET STATEMENT sql_mode='' FOR SET NAMES latin1 COLLATE latin1_bin",
			"SET STATEMENT max_statement_time=9 FOR CALL app.set_buffer(55555)", "BEGIN NOT ATOMIC SET SESSION sort_buffer_size=55555; SET @b=6; END")
	}
	return one(step{kind: kindQuery, sql: g.pick(list...)}.holding("user_variable", "unknown", "routine", "insert_id"))
}

func quoted(s string) string {
	out := []byte{'\''}
	for i := range len(s) {
		if s[i] == '\'' {
			out = append(out, '\'')
		}
		out = append(out, s[i])
	}
	return string(append(out, '\''))
}

// sideways changes user variables and the last id in statements that are about something else, or that fail.
func (g generator) sideways() []step {
	return one(step{kind: kindQuery, sql: g.pick(
		"SELECT 1+'x'; GET DIAGNOSTICS @a = NUMBER, @b = ROW_COUNT", "SELECT 1+'x'; GET DIAGNOSTICS CONDITION 1 @a = MESSAGE_TEXT, @c = RETURNED_SQLSTATE",
		"SELECT a INTO @a FROM app.rows4 WHERE 0", "SELECT a INTO @a FROM app.rows4", "SELECT (@a:=6) + (SELECT a FROM app.rows4)", "SET @a=5, @b=(SELECT a FROM app.rows4)",
		"INSERT INTO app.counted (v) VALUES (@a:='x')", "UPDATE app.rows4 SET b=@b:=b WHERE a=2", "DELETE FROM app.counted WHERE (@c:=5)=0 AND id=0",
		"UPDATE app.rows4 SET b=b WHERE a=LAST_INSERT_ID(3)", "INSERT IGNORE INTO app.rows4 VALUES (LAST_INSERT_ID(4),'x')", "SIGNAL SQLSTATE '45000'",
		"CALL app.fails(5)", "SELECT app.sets_and_fails(5)", "SELECT app.sets_and_fails(a) FROM app.rows4", "INSERT INTO app.rows4 VALUES (1, @a:='d')",
		"SELECT @a:=a, @b:=b FROM app.rows4 ORDER BY a", "SELECT a FROM app.rows4 WHERE a=2 INTO @`x y`", "SELECT 1 UNION SELECT 2 INTO @a", "(SELECT 3 INTO @c)",
		"DO @a:=1, @b:='ä', LAST_INSERT_ID(9)", "WITH w AS (SELECT 4 AS x) SELECT x INTO @a FROM w", "SHOW VARIABLES WHERE (@a:=7)=8", "EXPLAIN SELECT @a:=5",
		"SET @a=@b:=@c:=5", "SELECT @A:=1, @`a`:=2", "SET @'b'=3, @\"c\"=4", "SET @a='x', @a='y'", "SELECT @a := @a + 1, @a")}.
		holding("user_variable", "unknown", "routine", "insert_id"))
}

// readings are texts that mean something else under other SQL modes and character sets, some of which they set themselves.
func (g generator) readings() []step {
	return one(step{kind: kindQuery, sql: g.pick(
		`SET sql_mode='NO_BACKSLASH_ESCAPES', @a='x\', @b='y'`, `SET sql_mode='', @a='x\'', @b='y'`, `SET sql_mode='NO_BACKSLASH_ESCAPES', @a='x\\y', @b=1`,
		`SET @a='\\', sql_mode='NO_BACKSLASH_ESCAPES', @b='\\'`, `SET sql_mode='ANSI_QUOTES', @a="x", @b='y'`, `SET sql_mode='', @a="x", @b='y'`,
		"SET NAMES gbk, @a='\xe5\\', @b=2 -- '", "SET character_set_client=sjis, @a='\x95\\', @b=2 -- '", "SELECT '\xe5\\', @a:=5 -- '", "SET @@character_set_client=gbk",
		"SET @@character_set_client=sjis", "SET character_set_client=28", "SET @@character_set_client=13", "SET @@character_set_client=DEFAULT", "SET @@character_set_connection=DEFAULT",
		"SET @@collation_connection=DEFAULT, @a=1", "SET @@sql_mode=DEFAULT", "SET @@sql_mode=CONCAT(@@sql_mode, ',ANSI_QUOTES')",
		"SET NAMES gbk COLLATE gbk_bin, @a='\xe5\\', @b='x'", "SELECT 'a' 'b', @a:=\"c\" -- \"", "SET @@character_set_connection=utf8mb4, @@collation_connection=utf8mb4_bin",
		"SET collation_connection=utf8mb4_bin, @@character_set_connection=latin1")}.holding("user_variable", "unknown"))
}

// dropSchema leaves the session without a default schema.
func (g generator) dropSchema() []step {
	name := fmt.Sprintf("app_s%d_%d", g.seed, g.IntN(1000))
	return []step{
		query("CREATE DATABASE IF NOT EXISTS %s", name), query("USE %s", name).holding("unknown"), query("DROP DATABASE IF EXISTS %s", name),
	}
}

// dump is what mysqldump begins and ends with.
func (g generator) dump() []step {
	list := []step{
		query("/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */"), query("/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */"),
		query("/*!50503 SET NAMES utf8mb4 */"), query("/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */"), query("/*!40103 SET TIME_ZONE='+00:00' */"),
		query("/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */"), query("/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */"),
		query("/*!50717 SELECT COUNT(*) INTO @rocksdb FROM INFORMATION_SCHEMA.TABLES WHERE 0 */"), query("/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */"),
		query("/*!40101 SET SQL_MODE=@OLD_SQL_MODE */"), query("/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */"), query("/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */"),
		query("/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */"),
	}
	from := g.IntN(len(list))
	list = list[from : from+1+g.IntN(len(list)-from)]
	for i := range list {
		list[i] = list[i].holding("user_variable", "unknown")
	}
	return list
}
