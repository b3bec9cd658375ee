package migration

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// slots is how many prepared statements a client has at most.
const slots = 4

// generator makes random sequences.
type generator struct {
	*rand.Rand
	place *place
	seed  uint64
}

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// sequence makes one: some steps, a move or the death of the server connection, some more, perhaps again.
func (g generator) sequence() sequence {
	q := sequence{random: true, caps: ordinary, charset: []uint16{45, 8, 33, 46, 28}[g.IntN(5)], user: g.pick("app", "app", otherUser), schema: g.pick("app", "app", "", "app_two")}
	if g.IntN(2) == 0 {
		q.caps |= wire.ClientDeprecateEOF
	}
	if g.IntN(3) > 0 {
		q.caps |= wire.ClientMultiStatements
	}
	for range 1 + g.IntN(2) {
		q.steps = g.some(q.steps, 2+g.IntN(8))
		disturbance := step{kind: kindMove}
		if g.IntN(4) == 0 {
			disturbance.kind = kindKill
		}
		q.steps = append(q.steps, disturbance)
		q.steps = g.some(q.steps, g.IntN(5))
	}
	return q
}

func (g generator) some(steps []step, n int) []step {
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	for range n {
		at := g.IntN(total)
		for _, k := range kinds {
			if at -= k.weight; at < 0 {
				steps = append(steps, k.make(g)...)
				break
			}
		}
	}
	return steps
}

// kinds are what sequences are made of. Those that pin are rare, or hardly a session would move.
var kinds = []struct {
	weight int
	make   func(generator) []step
}{
	{24, generator.setVariable}, {5, generator.setSeveral}, {8, generator.names}, {4, generator.charset}, {6, generator.mode},
	{14, generator.userVariable}, {5, generator.use}, {5, generator.role}, {6, generator.characteristics},
	{10, generator.transaction}, {9, generator.textPrepared}, {20, generator.prepared}, {3, generator.longData}, {3, generator.cursor},
	{4, generator.insert}, {5, generator.failing}, {4, generator.literal}, {3, generator.several},
	{1, generator.reset}, {1, generator.option}, {2, generator.special}, {2, generator.routine},
	{1, generator.pinning}, {1, generator.locks},
	{4, generator.comments}, {4, generator.preparedChange}, {3, generator.immediate}, {4, generator.sideways}, {4, generator.readings},
	{1, generator.dropSchema}, {1, generator.dump},
}

func one(s step) []step { return []step{s} }

func (g generator) variable() (name, value string) {
	c := g.place.variables[g.IntN(len(g.place.variables))]
	return c.name, c.values[g.IntN(len(c.values))]
}

// scoped writes the name of a session variable in one of the ways there are.
func (g generator) scoped(name string) string {
	return g.pick(name, "SESSION "+name, "LOCAL "+name, "@@"+name, "@@session."+name, "@@local."+name, "session "+strings.ToUpper(name),
		"`"+name+"`", "@@SESSION.`"+name+"`", "/*!40000 SESSION */ "+name)
}

func (g generator) setVariable() []step {
	name, value := g.variable()
	switch g.IntN(8) {
	case 0:
		value = "DEFAULT"
	case 1:
		return one(query("SET %s=@@global.%s", g.scoped(name), name).holding("unknown"))
	case 2:
		return one(query("SET %s=(SELECT %s)", g.scoped(name), value).holding("unknown"))
	case 3:
		return one(readsNames(query("set /* a, b */ %s := %s -- c", g.scoped(name), value)))
	}
	return one(readsNames(query("SET %s=%s", g.scoped(name), value)))
}

// readsNames allows for the pin of a variable on which SET NAMES depends.
func readsNames(s step) step {
	if text := strings.ToLower(s.sql); strings.Contains(text, "old_mode") || strings.Contains(text, "character_set_collations") {
		return s.holding("unknown")
	}
	return s
}

func (g generator) setSeveral() []step {
	items := make([]string, 2+g.IntN(3))
	for i := range items {
		name, value := g.variable()
		items[i] = g.scoped(name) + g.pick("=", " := ") + value
	}
	if g.IntN(3) == 0 {
		items = append(items, "@a=5")
		return one(readsNames(query("SET %s", strings.Join(items, ", ")).holding("user_variable")))
	}
	return one(readsNames(query("SET %s", strings.Join(items, ", "))))
}

func (g generator) names() []step {
	return one(query("%s", g.pick("SET NAMES utf8mb4", "SET NAMES latin1", "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'",
		"SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci", "set names DEFAULT", "SET NAMES latin1 COLLATE latin1_bin", "SET NAMES gbk",
		"SET CHARACTER SET latin1", "SET CHARSET 'utf8mb4'", "SET CHARACTER SET DEFAULT", "SET NAMES utf8mb3", "SET NAMES binary",
		"SET NAMES utf8mb4 COLLATE utf8mb4_bin, sort_buffer_size=99999", "SET sql_notes=0, NAMES latin1")).holding("unknown"))
}

func (g generator) charset() []step {
	name := g.pick("character_set_client", "character_set_results", "character_set_connection", "collation_connection")
	c := g.place.choiceOf(name)
	return one(query("SET %s=%s", g.scoped(name), c.values[g.IntN(len(c.values))]))
}

func (g generator) mode() []step {
	c := g.place.choiceOf("sql_mode")
	return one(query("SET %s=%s", g.scoped("sql_mode"), c.values[g.IntN(len(c.values))]).holding("unknown"))
}

func (g generator) userName() string { return userVariables[g.IntN(len(userVariables))] }

func (g generator) value() string {
	return g.pick("5", "-7", "18446744073709551615", "1.50", "-0.001", "1.5e3", "2e-300", "'abc'", "'ä'", "''", "NULL", "X'00FF'", "_latin1'x'",
		"'a' COLLATE utf8mb4_bin", "CAST(9 AS UNSIGNED)", "CAST(3 AS DECIMAL(20,4))", "NOW() IS NULL", "1=1", "TRUE", "0x41",
		"b'101'", "(SELECT b FROM app.rows4 WHERE a=1)", "1/3", "PI()", "CAST('2024-02-03' AS DATE)", "'it''s'", `"dq"`)
}

func (g generator) userVariable() []step {
	name := g.userName()
	s := query("%s", g.pick(
		"SET @"+name+"="+g.value(), "SET @"+name+" := "+g.value(), "SELECT @"+name+":="+g.value(), "SET @"+name+"="+g.value()+", @b="+g.value(),
		"SELECT a,b INTO @a, @"+name+" FROM app.rows4 WHERE a=2", "SELECT "+g.value()+" INTO @"+name, "DO @"+name+":="+g.value(),
		"SET @"+name+"=@"+g.userName()+", @a=1", "SELECT COUNT(@"+name+" := a) FROM app.rows4"))
	return one(s.holding("user_variable"))
}

func (g generator) use() []step {
	schema := g.pick("app", "app_two", "app drei", "nowhere")
	if g.IntN(2) == 0 {
		return one(step{kind: kindInitDB, sql: schema})
	}
	return one(query("USE `%s`", schema))
}

func (g generator) role() []step {
	list := []string{"SET ROLE reader", "SET ROLE 'writer'", "SET ROLE NONE", "set role `reader`", "SET ROLE nobody"}
	if g.place.flavor == mysqltest.MySQL {
		list = append(list, "SET ROLE ALL", "SET ROLE DEFAULT", "SET ROLE ALL EXCEPT reader", "SET ROLE reader, 'writer'")
	}
	return one(query("%s", g.pick(list...)))
}

func (g generator) characteristics() []step {
	return one(query("SET %sTRANSACTION %s", g.pick("", "", "SESSION ", "LOCAL "), g.pick("READ ONLY", "READ WRITE",
		"ISOLATION LEVEL READ COMMITTED", "ISOLATION LEVEL SERIALIZABLE, READ ONLY", "ISOLATION LEVEL REPEATABLE READ")))
}

func (g generator) transaction() []step {
	return one(query("%s", g.pick("BEGIN", "START TRANSACTION", "START TRANSACTION READ ONLY", "START TRANSACTION WITH CONSISTENT SNAPSHOT",
		"COMMIT", "ROLLBACK", "COMMIT", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE SAVEPOINT s", "COMMIT AND CHAIN", "SET autocommit=0",
		"SET autocommit=1", "SET @@autocommit=ON", "SELECT * FROM app.rows4", "COMMIT")))
}

func (g generator) textPrepared() []step {
	return one(query("%s", g.pick("PREPARE p1 FROM 'SELECT 1, ''x'''", "PREPARE p2 FROM 'SELECT a, b FROM app.rows4'", "EXECUTE p1", "EXECUTE p2",
		`PREPARE P1 FROM "SELECT COUNT(*), 'y' FROM counted WHERE 0"`, "DEALLOCATE PREPARE p1", "DROP PREPARE p2", "PREPARE p2 FROM 'SELECT nonsense'",
		"PREPARE p1 FROM 'SELECT COUNT(*) FROM counted WHERE 0'", "EXECUTE IMMEDIATE 'SELECT 2'")).holding("unknown", "routine"))
}

func (g generator) slot() int { return g.IntN(slots) }

func (g generator) prepare() step {
	return step{kind: kindPrepare, slot: g.slot(), sql: g.pick("SELECT ?", "SELECT ?, ?", "SELECT a, b FROM app.rows4 WHERE a > ?", "SELECT 1",
		"SELECT CONCAT(?, ?), HEX(?)", "SELECT @@sql_mode, 'a' 'b'", "SELECT nonsense", "SELECT * FROM counted WHERE 0", "INSERT INTO app.counted (v) VALUES (?)",
		"SELECT SUM(a) FROM app.rows4 HAVING ? IS NOT NULL")}
}

func (g generator) prepared() []step {
	switch n := g.IntN(12); {
	case n < 4:
		p := g.prepare()
		return []step{p, {kind: kindExecute, slot: p.slot, count: g.IntN(9), types: true}}
	case n < 5:
		return one(g.prepare())
	case n < 7:
		return one(step{kind: kindExecute, slot: g.slot(), count: g.IntN(9), types: true})
	case n < 10:
		return one(step{kind: kindExecute, slot: g.slot(), count: g.IntN(9)})
	case n < 11:
		return one(step{kind: kindClose, slot: g.slot()})
	default:
		if g.place.flavor == mysqltest.MariaDB {
			return one(step{kind: kindLast})
		}
		return one(step{kind: kindStmtReset, slot: g.slot()})
	}
}

func (g generator) longData() []step {
	slot := g.slot()
	list := []step{
		{kind: kindPrepare, slot: slot, sql: "SELECT LENGTH(?), ?"},
		{kind: kindLong, slot: slot, sql: strings.Repeat("long", 1+g.IntN(2000))},
		{kind: kindLong, slot: slot, sql: "and more"},
		{kind: kindExecute, slot: slot, count: g.IntN(9), types: true},
	}
	if g.IntN(10) == 0 {
		list[1].sql, list[1].holds = strings.Repeat("much", 100_000), []string{"long_data"}
	}
	return list[:2+g.IntN(3)]
}

func (g generator) cursor() []step {
	slot := slots // of its own: MySQL 9.7 answers a later execution without a cursor in a way that no client understands
	return []step{
		{kind: kindPrepare, slot: slot, sql: "SELECT a, b FROM app.rows4"},
		{kind: kindExecute, slot: slot, cursor: true, holds: []string{"cursor"}},
		{kind: kindFetch, slot: slot, count: 1 + g.IntN(4)},
	}[:2+g.IntN(2)]
}

func (g generator) insert() []step {
	return one(query("%s", g.pick("INSERT INTO app.counted (v) VALUES ('x')", "INSERT INTO app.counted (v) VALUES ('x'),('y'),('z')",
		"INSERT INTO counted (v) VALUES ('x')", "DELETE FROM app.counted WHERE id=0")))
}

func (g generator) failing() []step {
	return one(query("%s", g.pick("SELECT * FROM nowhere.t", "SET nonsense=1", "SET SESSION sort_buffer_size='x'", "SET sql_mode='ANSI', nonsense=1",
		"SET sql_notes=0, sort_buffer_size='x'", "SELEC 1", "SET NAMES nonsense", "SET @a=1, nonsense=2", "SET time_zone='nonsense'",
		"INSERT INTO app.rows4 (c) VALUES (1)", "EXECUTE nonsense", "SET GLOBAL sort_buffer_size=1", "SET PASSWORD = 'x y z")).holding("user_variable", "unknown"))
}

func (g generator) literal() []step {
	return one(query("%s", g.pick(`SELECT 'a\'b', "c"`, `SELECT 'a\\', 'b'`, `SELECT 'x' AS "y"`, `SELECT 'a' /* ' */, 'b' -- '`, "SELECT 'ä', _utf8mb4'ä'",
		`SELECT "it's", 'say "x"'`, "SELECT `a` FROM app.rows4 LIMIT 1", `SET @a="x\"y", @b='z'`)).holding("user_variable", "unknown"))
}

func (g generator) several() []step {
	name, value := g.variable()
	return one(query("%s", g.pick("SELECT 1; SELECT 2", fmt.Sprintf("SET %s=%s; SELECT 3", name, value), "USE app_two; SELECT DATABASE()",
		"BEGIN; SELECT 1; COMMIT", "SET @a=3; SELECT @a", "SELECT 1; SELECT nonsense; SET sql_notes=0", "SET NAMES latin1; SET sql_mode='ANSI'; SELECT 1",
		"SET ROLE reader; SELECT 1", "PREPARE p1 FROM 'SELECT 4'; EXECUTE p1")).holding("user_variable", "unknown", "routine"))
}

func (g generator) reset() []step {
	switch g.IntN(3) {
	case 0:
		return []step{{kind: kindChangeUser, sql: g.pick("app", otherUser)}}
	default:
		if !g.place.tracks() { // MySQL 5.6 has no such command
			return one(query("SELECT 1"))
		}
		return one(step{kind: kindReset})
	}
}

func (g generator) option() []step { return one(step{kind: kindOption, slot: g.IntN(2)}) }

func (g generator) special() []step {
	switch g.IntN(5) {
	case 0:
		return one(query("SELECT LAST_INSERT_ID(%d)", g.IntN(1000)).holding("insert_id"))
	case 1:
		return one(query("SET %s=%d", g.pick("last_insert_id", "identity", "@@last_insert_id"), g.IntN(1000)).holding("insert_id"))
	case 2:
		return one(query("SET timestamp=%d", 1e9+g.IntN(1000)).holding("clock"))
	case 3:
		return one(query("SET rand_seed1=%d, rand_seed2=7", g.IntN(1000)).holding("clock"))
	default:
		if g.place.flavor == mysqltest.MariaDB {
			return one(query("SET STATEMENT %s FOR SELECT 1", g.pick("sort_buffer_size=100000", "sql_mode='ANSI', max_statement_time=100", "time_zone='+03:00'")).holding("unknown"))
		}
		return one(query("SELECT /*+ SET_VAR(sort_buffer_size=100000) */ 1").holding("routine")) // MySQL reports the value that it restores with the next answer
	}
}

func (g generator) routine() []step {
	return one(query("%s", g.pick("CALL app.set_buffer(77777)", "CALL app.set_mode()", "CALL app.set_user(4)", "CALL app.give(@c)", "CALL app.nothing()",
		"SELECT app.plain(1)", "SELECT app.sets(8)", "SELECT app.sets_buffer(66666)", "DO app.sets(9)")).holding("user_variable", "unknown", "routine"))
}

// pinning are things that stay until the end.
func (g generator) pinning() []step {
	switch g.IntN(4) {
	case 0:
		return []step{
			query("CREATE TEMPORARY TABLE app.tt%d (a INT)", g.seed).holding("temporary_table:tt"),
			query("DROP TEMPORARY TABLE app.tt%d", g.seed).freeing("temporary_table:tt"),
		}[:1+g.IntN(2)]
	case 1:
		return []step{
			query("HANDLER app.rows4 OPEN AS h").holding("handler:h"), query("HANDLER h READ FIRST"), query("HANDLER h CLOSE").freeing("handler:h"),
		}[:1+g.IntN(3)]
	case 2:
		return []step{query("LOCK TABLES app.rows4 READ").holding("table_lock:t"), query("UNLOCK TABLES").freeing("table_lock:t")}[:1+g.IntN(2)]
	default:
		x := fmt.Sprintf("'m%d'", g.seed)
		list := []step{query("XA START %s", x).holding("xa"), query("XA END %s", x).holding("xa"), query("XA ROLLBACK %s", x).freeing("xa", "xa")}
		return list
	}
}

func (g generator) locks() []step {
	a := fmt.Sprintf("m%d", g.seed)
	return []step{
		query("SELECT GET_LOCK('%s', 0)", a).holding("named_lock:a"),
		query("SELECT RELEASE_LOCK('%s')", a).freeing("named_lock:a"),
	}[:1+g.IntN(2)]
}
