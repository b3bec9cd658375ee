package migration

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

var (
	move = step{kind: kindMove}
	kill = step{kind: kindKill}
	ping = step{kind: kindPing}
)

// known is a sequence with a name. docs/protocol.md names those that prove its lines.
type known struct {
	name    string
	pin     string // the kind of the pin that ends it; "" when the session is carried over
	flavor  string // of the only flavour that it is for
	plain   bool   // results end with EOF packets, which have no room for reports
	schema  string // "" is app
	charset uint16 // 0 is 45; above 255 by a change of user only
	steps   []step
}

var knownSequences = []known{
	{name: "schema", steps: []step{query("USE app_two"), move, {kind: kindInitDB, sql: "app drei"}, kill}},
	{name: "variables", steps: []step{query("SET sql_mode='ANSI_QUOTES', time_zone='+02:00', SESSION sort_buffer_size=77777, @@lc_time_names=10"), move, ping, kill}},
	{name: "variables_by_procedure", pin: "routine", steps: []step{query("CALL app.set_buffer(77777)").holding("routine"), move, ping}},
	{name: "set_names_collate", steps: []step{query("SET NAMES utf8mb4 COLLATE utf8mb4_bin"), move, query("SET character_set_results=latin1"), kill}},
	{name: "set_names_collate_prepared", steps: []step{
		{kind: kindPrepare, sql: "SET NAMES latin1 COLLATE latin1_bin"}, {kind: kindExecute}, {kind: kindClose}, move,
	}},
	{name: "character_set_without_a_scope", charset: 8, steps: []step{
		query("SET collation_connection='utf8mb4_unicode_ci'"), query("SET @@character_set_connection=binary"), move, kill,
	}},
	{name: "client_character_set_without_a_scope", steps: []step{query("SET @@character_set_client=gbk"), query("SELECT '\xe5\\', @a:=5 -- '"), move}},
	{name: "variables_by_expression", steps: []step{query("SET @@max_seeks_for_key=1000+5, max_heap_table_size=20000+@@sort_buffer_size"), move}},
	{name: "variables_by_expression_lost", pin: "unknown", steps: []step{query("SET @@max_seeks_for_key=1000+5").holding("unknown"), kill, ping}},
	{name: "variables_in_ucs2", steps: []step{query("SET @@max_seeks_for_key=1000+5, @a='ä', @b=1+1, @@character_set_results=ucs2"), move}},
	{name: "comments_of_other_versions", steps: []step{
		query("/*!99999 SET NAMES latin1 COLLATE latin1_bin, @a=5 */"), query("/*!99999 SET ROLE reader */"), query("/*!99999 PREPARE p1 FROM 'SELECT 1' */"),
		query("/*!99999 SET max_seeks_for_key=77 */"), query("/*!50503 SET NAMES utf8mb4 COLLATE utf8mb4_bin */"), move, ping, kill,
	}, flavor: "mariadb"},
	{name: "comments_of_other_versions_mysql", steps: []step{
		query("/*!99999 SET NAMES latin1 COLLATE latin1_bin, @a=5 */"), query("/*M! PREPARE p1 FROM 'SELECT 1' */"),
		query("/*!99999 SET max_seeks_for_key=77 */"), query("/*!80000 SET NAMES utf8mb4 COLLATE utf8mb4_bin, max_seeks_for_key=99 */"), move, ping, kill,
	}, flavor: "mysql"},
	{name: "comment_within_a_statement", pin: "unknown", steps: []step{
		query("SET sort_buffer_size=70000 /*!99999 , NAMES latin1 COLLATE latin1_bin */").holding("unknown"), move, ping,
	}},
	{name: "prepared_text_without_a_scope", pin: "unknown", flavor: "mariadb", steps: []step{
		query("PREPARE p1 FROM 'SET @@sort_buffer_size=77001'"), query("EXECUTE p1").holding("unknown"), move, ping,
	}},
	{name: "set_statement_for_set", pin: "unknown", flavor: "mariadb", steps: []step{
		query("SET STATEMENT sort_buffer_size=100000 FOR SET SESSION read_buffer_size=50000").holding("unknown"), move, ping,
	}},
	{name: "word_for_a_time", flavor: "mariadb", steps: []step{query("SET system_versioning_asof='2030-01-01 00:00:00'"), query("SET system_versioning_asof=DEFAULT"), move}},
	{name: "moment_in_a_time_zone", flavor: "mariadb", steps: []step{
		query("SET time_zone='+02:00'"), query("SET system_versioning_asof='2030-01-01 00:00:00'"), move, ping, kill, ping, query("SET time_zone='+05:00'"), move, ping, kill,
	}},
	{name: "procedure_that_fails", pin: "routine", steps: []step{query("CALL app.fails(5)").holding("routine"), move, ping}},
	{name: "function_that_fails", pin: "routine", steps: []step{query("SELECT app.sets_and_fails(a) FROM app.rows4").holding("routine"), move, ping}},
	{name: "function_that_fails_eof", pin: "routine", plain: true, steps: []step{query("SELECT app.sets_and_fails(a) FROM app.rows4").holding("routine"), move, ping}},
	{name: "text_that_changes_its_own_reading", steps: []step{query(`SET sql_mode='NO_BACKSLASH_ESCAPES', @a='\'', @b='y'`), move}},
	{name: "several_statements_refused", steps: []step{{kind: kindOption, slot: 1}, query("SET ROLE reader; SELECT 1"), move}},
	{name: "schema_dropped", steps: []step{query("CREATE DATABASE IF NOT EXISTS app_gone"), query("USE app_gone"), query("DROP DATABASE app_gone"), move, kill}},
	{name: "schema_dropped_under_a_statement", pin: "unknown", steps: []step{
		query("PREPARE p1 FROM 'SELECT 1'"), query("CREATE DATABASE IF NOT EXISTS app_left"), query("USE app_left"), query("DROP DATABASE app_left").holding("unknown"), move, ping,
	}},
	{name: "set_character_set", steps: []step{query("SET NAMES utf8mb4 COLLATE utf8mb4_bin"), query("SET CHARACTER SET latin1"), move}},
	{name: "schema_in_another_character_set", charset: 8, steps: []step{query("USE `app_\xe9`"), move, query("SELECT '\xe9'"), kill, {kind: kindReset}, move}},
	{name: "schema_in_another_character_set_left", charset: 8, steps: []step{query("USE `app_\xe9`"), move, ping, query("USE app_two"), {kind: kindReset}, query("SELECT '\xe9'")}},
	{name: "schema_of_a_login_in_another_character_set", charset: 28, schema: "app_\xa8\xa6", steps: []step{ping, move, kill}},
	{name: "collation_of_a_change_of_user", flavor: "mysql", charset: 309, steps: []step{{kind: kindChangeUser, sql: otherUser}, move, kill}},
	{name: "schema_beside_a_collation", flavor: "mysql", charset: 47, steps: []step{query("USE `app_\xe9`"), move, kill}},
	{name: "login_collation", charset: 46, steps: []step{move, ping, kill}},
	{name: "set_statement", flavor: "mariadb", steps: []step{query("SET STATEMENT sort_buffer_size=100000 FOR SELECT 1"), query("SELECT 1"), move}},
	{name: "autocommit", steps: []step{query("SET autocommit=0"), move, ping, kill}},
	{name: "set_transaction_once", steps: []step{query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY"), move, query("BEGIN"), query("COMMIT"), query("BEGIN")}},
	{name: "set_transaction_used_up", plain: true, steps: []step{query("SET TRANSACTION READ ONLY"), query("SELECT * FROM app.rows4"), move, query("BEGIN")}},
	{name: "transaction_isolation_of_the_next", steps: []step{query("SET @@transaction_isolation='READ-COMMITTED', @@sort_buffer_size=99999"), move}, flavor: "mysql"},
	{name: "transaction_lost", steps: []step{query("BEGIN"), query("INSERT INTO app.counted (v) VALUES ('x')"), kill}},
	{name: "transaction_moved", steps: []step{query("BEGIN"), query("INSERT INTO app.counted (v) VALUES ('x')"), query("COMMIT"), move}},
	{name: "transaction_begun_by_an_error", steps: []step{query("SET autocommit=0"), query("INSERT INTO app.rows4 (a) VALUES (1)"), kill, query("SET TRANSACTION READ ONLY")}},
	{name: "role", steps: []step{query("SET ROLE 'writer'"), move, ping, kill}},
	{name: "role_over_reset", steps: []step{query("SET ROLE reader"), {kind: kindReset}, move}},
	{name: "role_in_several_statements", steps: []step{query("SET ROLE reader; SELECT 1"), {kind: kindReset}, move}},
	{name: "user_variables", steps: []step{
		query("SET @a=5, @b='ä', @c=1.50, @`x y`=X'00FF'"), move, query("SET @a=NULL, @c=2e-300"), query("SELECT b INTO @b FROM app.rows4 WHERE a=1"), move,
	}},
	{name: "user_variables_unreported", steps: []step{query("SELECT a, b INTO @a, @b FROM app.rows4 WHERE a=2"), query("SELECT @c:=CONCAT(@b, 'x')"), move}},
	{name: "user_variables_in_expressions", steps: []step{query("SELECT COUNT(@a := a) FROM app.rows4"), move}},
	{name: "user_variables_in_prepared", steps: []step{
		query("PREPARE p1 FROM 'SELECT @a:=7'"), query("SET @a=1"), query("EXECUTE p1"), query("DEALLOCATE PREPARE p1"),
		{kind: kindPrepare, sql: "SELECT 8 INTO @b"}, {kind: kindExecute}, {kind: kindClose}, move,
	}},
	{name: "user_variables_typed_null", steps: []step{query("SET @a=1, @b='x'"), query("SET @a=NULL, @b=NULL"), move}},
	{name: "user_variables_never_assigned", steps: []step{query("SELECT @a, @b"), query("SET @c=@a"), move}},
	{name: "user_constants_survive_a_loss", steps: []step{query("SET @a=5, @b='abc', @c=-1.5e3, @`x y`=TRUE"), kill}},
	{name: "user_variables_lost", pin: "user_variable", steps: []step{query("SET @a=NOW()").holding("user_variable"), kill, ping}},
	{name: "user_constants_in_doubt", pin: "user_variable", steps: []step{query("SET @a=5").holding("user_variable"), query("SELECT app.plain(1)"), kill, ping}},
	{name: "user_variables_by_function", pin: "routine", steps: []step{query("SELECT app.sets(8)").holding("routine"), move, ping}},
	{name: "user_variables_by_function_eof", pin: "routine", plain: true, steps: []step{query("SELECT app.sets(8)").holding("routine"), move, ping}},
	{name: "last_insert_id", steps: []step{query("INSERT INTO app.counted (v) VALUES ('x')"), move, ping, kill}},
	{name: "last_insert_id_expression", steps: []step{query("SELECT LAST_INSERT_ID(77)"), move, ping, kill}},
	{name: "last_insert_id_explicit", steps: []step{
		query("SELECT LAST_INSERT_ID(5)"), move, query("DELETE FROM app.counted WHERE id=77"), query("INSERT INTO app.counted (id, v) VALUES (77, 'x')"), move,
	}},
	{name: "last_insert_id_by_procedure", steps: []step{query("SELECT LAST_INSERT_ID(5)"), move, query("CALL app.last_id(78)"), move}},
	{name: "last_insert_id_in_prepared", steps: []step{
		query("PREPARE p1 FROM 'SELECT LAST_INSERT_ID(79)'"), query("SELECT LAST_INSERT_ID(5)"), move, query("EXECUTE p1"), move,
	}},
	{name: "last_insert_id_returning", flavor: "mariadb", steps: []step{
		query("SELECT LAST_INSERT_ID(5)"), move, query("SET auto_increment_offset=1, auto_increment_increment=1"), query("TRUNCATE app.numbered"), query("INSERT INTO app.numbered (v) VALUES ('x') RETURNING v"), move,
	}},
	{name: "last_insert_id_lost", pin: "insert_id", steps: []step{query("SELECT LAST_INSERT_ID(77)").holding("insert_id"), kill, ping}},
	{name: "text_prepare", steps: []step{query("PREPARE p1 FROM 'SELECT a, b FROM app.rows4'"), query("PREPARE p2 FROM 'SELECT 1'"), query("DROP PREPARE p2"), move, ping, kill}},
	{name: "text_prepare_failed", steps: []step{query("PREPARE p1 FROM 'SELECT 1'"), query("PREPARE p1 FROM 'SELECT nonsense'"), move}},
	{name: "text_prepare_from_variable", pin: "unknown", steps: []step{query("SET @a='SELECT 1'"), query("PREPARE p1 FROM @a").holding("unknown"), move, ping}},
	{name: "text_prepare_context", steps: []step{query("PREPARE p1 FROM 'SELECT COUNT(*), \"a\" FROM counted WHERE 0'"), query("SET sql_mode='ANSI_QUOTES'"), query("USE `app drei`"), move}},
	{name: "prepared", steps: []step{
		{kind: kindPrepare, sql: "SELECT a, b FROM app.rows4 WHERE a > ?"}, {kind: kindPrepare, slot: 1, sql: "SELECT ?, ?"},
		{kind: kindExecute, slot: 1, count: 2, types: true}, move, {kind: kindExecute, slot: 1, count: 2}, {kind: kindPrepare, slot: 2, sql: "SELECT 1"},
		{kind: kindExecute, count: 2, types: true}, kill, {kind: kindExecute, slot: 2}, {kind: kindStmtReset, slot: 1}, {kind: kindClose, slot: 2},
	}},
	{name: "close_finds_the_connection_dead", steps: []step{
		{kind: kindPrepare, sql: "SELECT 1"}, query("PREPARE p1 FROM 'SELECT 2'"), kill, {kind: kindClose},
	}},
	{name: "prepared_context", steps: []step{
		{kind: kindPrepare, sql: "SELECT COUNT(*), \"a\" FROM counted WHERE 0"}, query("SET sql_mode='ANSI_QUOTES', NAMES latin1"), query("USE `app drei`"), move,
	}},
	{name: "prepared_context_after_reset", steps: []step{{kind: kindReset}, query("PREPARE p1 FROM 'SELECT 1, ''x'''"), query("SET NAMES gbk"), move}, charset: 46},
	// A byte that is half of a character looks like a backslash.
	{name: "login_charset_after_reset", charset: 28, steps: []step{{kind: kindReset}, query("SELECT '\xe5\\', @a:=5 -- '"), move}},
	{name: "prepared_last", flavor: "mariadb", steps: []step{{kind: kindPrepare, sql: "SELECT 1"}, {kind: kindLast}, move, {kind: kindLast}, {kind: kindPrepare, slot: 1, sql: "SELECT 2"}, {kind: kindLast}}},
	{name: "reset_of_a_statement_after_a_cursor", steps: []step{
		{kind: kindPrepare, sql: "SELECT 1"}, move, {kind: kindPrepare, slot: slots, sql: "SELECT a FROM app.rows4"},
		{kind: kindExecute, slot: slots, cursor: true}, {kind: kindStmtReset},
	}},
	{name: "long_data", steps: []step{
		{kind: kindPrepare, sql: "SELECT LENGTH(?)"}, {kind: kindLong, sql: strings.Repeat("long", 5000)}, move, {kind: kindLong, sql: "more"}, kill,
		{kind: kindExecute, types: true},
	}},
	{name: "long_data_beyond", pin: "long_data", steps: []step{
		{kind: kindPrepare, sql: "SELECT LENGTH(?)"}, step{kind: kindLong, sql: strings.Repeat("long", 100_000)}.holding("long_data"), move, ping,
	}},
	{name: "cursor", pin: "cursor", steps: []step{
		{kind: kindPrepare, sql: "SELECT a, b FROM app.rows4"}, step{kind: kindExecute, cursor: true}.holding("cursor"), {kind: kindFetch, count: 1}, move, ping,
	}},
	{name: "cursor_read_to_its_end", steps: []step{
		{kind: kindPrepare, slot: slots, sql: "SELECT a, b FROM app.rows4"}, {kind: kindExecute, slot: slots, cursor: true}, {kind: kindFetch, slot: slots, count: 9}, move,
	}},
	{name: "user_variables_typed_null_prepared", steps: []step{query("PREPARE p2 FROM 'SET @b=?'"), query("SELECT COUNT(@b := a) FROM app.rows4"), move}},
	{name: "temporary_table", pin: "temporary_table", steps: []step{query("CREATE TEMPORARY TABLE app.known1 (a INT)").holding("temporary_table"), move, ping}},
	{name: "temporary_table_dropped", steps: []step{query("CREATE TEMPORARY TABLE app.known2 (a INT)"), query("DROP TEMPORARY TABLE app.known2"), move}},
	{name: "get_lock", pin: "named_lock", steps: []step{query("SELECT GET_LOCK('known1', 0)").holding("named_lock"), move, ping}},
	{name: "release_lock", steps: []step{query("SELECT GET_LOCK('known2', 0)"), query("SELECT RELEASE_LOCK('KNOWN2')"), move}},
	{name: "release_all_locks", steps: []step{query("DO GET_LOCK(CONCAT('known', 3), 0)"), query("DO RELEASE_ALL_LOCKS()"), move}},
	{name: "get_lock_by_function", pin: "named_lock", steps: []step{query("SELECT app.locks('known4')").holding("named_lock"), move, ping}},
	{name: "get_lock_by_procedure", pin: "named_lock", steps: []step{query("CALL app.lock('known5')").holding("named_lock"), move, ping}},
	{name: "release_lock_by_function", steps: []step{query("SELECT app.locks('known6')").holding("named_lock"), query("DO RELEASE_ALL_LOCKS()"), move}},
	{name: "handler", pin: "handler", steps: []step{query("HANDLER app.rows4 OPEN").holding("handler"), move, ping}},
	{name: "handler_closed", steps: []step{query("HANDLER app.rows4 OPEN AS h"), query("HANDLER h CLOSE"), move}},
	{name: "lock_tables", pin: "table_lock", steps: []step{query("LOCK TABLES app.rows4 READ").holding("table_lock"), kill, ping}},
	{name: "unlock_tables", steps: []step{query("LOCK TABLES app.rows4 READ"), query("UNLOCK TABLES"), move}},
	{name: "timestamp", pin: "clock", steps: []step{query("SET timestamp=1000000000").holding("clock"), move, ping}},
	{name: "reset_of_a_pinned_session", steps: []step{query("HANDLER app.rows4 OPEN"), query("SET @a=NOW()"), move, {kind: kindReset}}},
	{name: "reset_of_a_pinned_session_that_was_lost", steps: []step{query("HANDLER app.rows4 OPEN"), query("SET @a=NOW(), sql_mode=''"), kill, {kind: kindReset}}},
	{name: "set_option", steps: []step{{kind: kindOption, slot: 1}, move, query("SELECT 1; SELECT 2"), {kind: kindChangeUser, sql: otherUser}, kill, query("SELECT 1; SELECT 2")}},
	{name: "change_user", steps: []step{query("SET sql_mode='', @a=5, NAMES latin1"), {kind: kindChangeUser, sql: "app"}, move, ping, kill}},
	{name: "why_a_pinned_session_ends_is_told", pin: "handler", steps: []step{
		{kind: kindPrepare, sql: "SELECT 1"}, query("HANDLER app.rows4 OPEN").holding("handler"), move, {kind: kindClose}, ping,
	}},
}

// TestKnown runs the sequences that have a name.
func TestKnown(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		w := newWorker(t, p)
		defer w.stop()
		for _, k := range knownSequences {
			if k.flavor != "" && k.flavor != p.flavor.String() {
				continue
			}
			t.Run(k.name, func(t *testing.T) {
				out, err := w.run(k.sequence())
				if err != nil && !errors.Is(err, errSkip) {
					t.Fatalf("%v\n%v", err, k.sequence())
				}
				if k.pin == "" && len(out.pinned) > 0 || k.pin != "" && !slices.Contains(out.pinned, k.pin) {
					t.Errorf("pinned by %q, want %q", out.pinned, k.pin)
				}
			})
		}
	})
}

func (k known) sequence() sequence {
	q := sequence{caps: ordinary | wire.ClientMultiStatements | wire.ClientDeprecateEOF, charset: 45, user: mysqltest.AppUser, schema: "app", steps: k.steps}
	if k.plain {
		q.caps &^= wire.ClientDeprecateEOF
	}
	if k.charset != 0 {
		q.charset = k.charset
	}
	if k.schema != "" {
		q.schema = k.schema
	}
	return q
}

// TestDocumentedSequences checks that docs/protocol.md names sequences that exist.
func TestDocumentedSequences(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`TestKnown/([a-z_]+)`").FindAllStringSubmatch(string(text), -1)
	if len(names) < 20 {
		t.Errorf("only %d sequences are named", len(names))
	}
	for _, n := range names {
		if !slices.ContainsFunc(knownSequences, func(k known) bool { return k.name == n[1] }) {
			t.Errorf("no sequence is called %s", n[1])
		}
	}
}
