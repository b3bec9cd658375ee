package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/wire"
)

const auto = wire.StatusAutocommit

func TestPinsAndReleases(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(r *rig)
		want Pin
	}{
		{"nothing", func(r *rig) { r.sql("INSERT INTO t VALUES (1)", auto) }, 0},
		{"user variable whose name is not ASCII", func(r *rig) { r.sql("SET @ä=1", auto, stateChanged...) }, PinUserVariable},
		{"temporary table", func(r *rig) { r.sql("CREATE TEMPORARY TABLE x (a INT)", auto, stateChanged...) }, PinTempTable},
		{"temporary table, refused", func(r *rig) { r.run(query("CREATE TEMPORARY TABLE x (a INT)"), refusal(1050)) }, 0},
		{"named lock", func(r *rig) { r.sql("DO GET_LOCK('a',1)", auto) }, PinNamedLock},
		{"named lock in a statement that fails", func(r *rig) { r.run(query("SELECT GET_LOCK('a',1), (SELECT 1 UNION SELECT 2)"), refusal(1242)) }, PinNamedLock},
		{"named locks released", func(r *rig) { r.sql("DO GET_LOCK('a',1)", auto); r.sql("DO RELEASE_ALL_LOCKS()", auto) }, 0},
		{"lock tables", func(r *rig) { r.sql("LOCK TABLES t WRITE", auto) }, PinTableLock},
		{"unlock tables", func(r *rig) { r.sql("LOCK TABLES t WRITE", auto); r.sql("UNLOCK TABLES", auto) }, 0},
		{"begin unlocks tables", func(r *rig) { r.sql("LOCK TABLES t WRITE", auto); r.sql("BEGIN", auto|wire.StatusInTrans) }, 0},
		{"global lock", func(r *rig) { r.sql("FLUSH TABLES WITH READ LOCK", auto) }, PinGlobalLock},
		{"xa prepared", func(r *rig) { r.sql("XA START 'x'", auto); r.sql("XA END 'x'", auto); r.sql("XA PREPARE 'x'", auto) }, PinXA},
		{"xa done", func(r *rig) { r.sql("XA START 'x'", auto); r.sql("XA COMMIT 'x' ONE PHASE", auto) }, 0},
		{"xa commit fails", func(r *rig) { r.sql("XA START 'x'", auto); r.run(query("XA COMMIT 'x'"), refusal(1399)) }, PinXA},
		{"global lock released", func(r *rig) { r.sql("FLUSH TABLES WITH READ LOCK", auto); r.sql("UNLOCK TABLES", auto) }, 0},
		{"lock of the instance is none of tables", func(r *rig) { r.sql("LOCK INSTANCE FOR BACKUP", auto); r.sql("UNLOCK TABLES", auto) }, PinGlobalLock},
		{"named lock released", func(r *rig) { r.sql("SELECT GET_LOCK('a',1)", auto); r.sql("SELECT RELEASE_LOCK('A')", auto) }, 0},
		{"named lock taken twice", func(r *rig) {
			r.sql("SELECT GET_LOCK('a',1)", auto)
			r.sql("SELECT GET_LOCK('a',1)", auto)
			r.sql("DO RELEASE_LOCK('a')", auto)
		}, PinNamedLock},
		{"one of two named locks released", func(r *rig) {
			r.sql("SELECT GET_LOCK('a',1)", auto)
			r.sql("SELECT GET_LOCK('b',1)", auto)
			r.sql("DO RELEASE_LOCK('a')", auto)
		}, PinNamedLock},
		{"named lock released perhaps", func(r *rig) {
			r.sql("SELECT GET_LOCK('a',1)", auto)
			r.sql("SELECT RELEASE_LOCK('a') FROM t", auto)
		}, PinNamedLock},
		{"named locks taken in a way that tells no name", func(r *rig) {
			r.sql("SELECT GET_LOCK(CONCAT('a'),1)", auto)
			r.sql("SELECT GET_LOCK('a',1)", auto)
			r.sql("SELECT RELEASE_LOCK('a')", auto)
		}, PinNamedLock},
		{"temporary table dropped", func(r *rig) {
			r.sql("CREATE TEMPORARY TABLE x (a INT)", auto, stateChanged...)
			r.sql("DROP TEMPORARY TABLE IF EXISTS app.x", auto, stateChanged...)
		}, 0},
		{"temporary table dropped after it got another name", func(r *rig) {
			r.sql("CREATE TEMPORARY TABLE x (a INT)", auto, stateChanged...)
			r.sql("ALTER TABLE x RENAME y", auto)
			r.sql("DROP TEMPORARY TABLE IF EXISTS x", auto)
		}, PinTempTable},
		{"one of two temporary tables dropped", func(r *rig) {
			r.sql("CREATE TEMPORARY TABLE x (a INT)", auto, stateChanged...)
			r.sql("CREATE TEMPORARY TABLE y (a INT)", auto, stateChanged...)
			r.sql("DROP TEMPORARY TABLE y", auto, stateChanged...)
		}, PinTempTable},
		{"handler closed", func(r *rig) { r.sql("HANDLER t OPEN AS h", auto); r.sql("HANDLER h CLOSE", auto) }, 0},
		{"another handler closed", func(r *rig) { r.sql("HANDLER t OPEN", auto); r.sql("HANDLER h CLOSE", auto) }, PinHandler},
		{"handler", func(r *rig) { r.sql("HANDLER t OPEN", auto) }, PinHandler},
		{"clock", func(r *rig) { r.sql("SET timestamp=1", auto, setVar("timestamp", "0")...) }, PinClock},
		{"routine", func(r *rig) { r.sql("CALL p()", auto, stateChanged...) }, PinRoutine},
		{"quiet routine", func(r *rig) { r.sql("CALL p()", auto) }, 0},
		{"unexplained", func(r *rig) { r.sql("INSERT INTO t VALUES (1)", auto, stateChanged...) }, PinUnknown},
		{"garbled state", func(r *rig) { r.sql("SELECT 1", auto, 0, 50) }, PinUnknown},
		{"some of several assignments", func(r *rig) {
			r.run(query("SET net_buffer_length=2048; SELECT x"), append(okay(auto|wire.StatusMoreResults), refusal(1054)...))
		}, PinUnknown},
		{"cleared by reset", func(r *rig) {
			r.sql("HANDLER t OPEN", auto)
			r.run(packet(0, wire.ComResetConnection), okay(auto))
		}, 0},
		{"kept by a refused reset", func(r *rig) {
			r.sql("HANDLER t OPEN", auto)
			r.run(packet(0, wire.ComResetConnection), refusal(1227))
		}, PinHandler},
		{"binary log", func(r *rig) { r.run(packet(0, wire.ComRegisterSlave), okay(auto)) }, PinReplication},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := trackedRig(t)
			c.do(r)
			r.wantPins(c.want)
		})
	}
}

func TestWaitTimeout(t *testing.T) {
	r := trackedRig(t)
	for _, c := range []struct {
		value string
		want  time.Duration
	}{{"", 0}, {"60", time.Minute}, {"2147483", 2147483 * time.Second}} {
		if c.value != "" {
			r.sql("SET wait_timeout="+c.value, auto, setVar("wait_timeout", c.value)...)
		}
		if got := r.core.WaitTimeout(); got != c.want {
			t.Errorf("%q: %s, want %s", c.value, got, c.want)
		}
	}
	r.run(packet(0, wire.ComResetConnection), okay(auto))
	if got := r.core.WaitTimeout(); got != 0 {
		t.Errorf("%s after a reset", got)
	}
}

func TestRelayedSessionStaysPinned(t *testing.T) {
	r := newRig(t, Config{Client: clientCaps, Server: serverCaps, Relayed: true})
	r.wantPins(PinAuth)
	r.run(packet(0, wire.ComResetConnection), okay(auto))
	r.wantPins(PinAuth)
}

func TestRebuildText(t *testing.T) {
	r := trackedRig(t)
	r.sql("SET autocommit=0", 0, setVar("autocommit", "OFF")...)
	r.sql("SET lc_time_names='de_DE', innodb_lock_wait_timeout=5", 0, append(setVar("lc_time_names", "de_DE"), setVar("innodb_lock_wait_timeout", "5")...)...)
	r.sql("SET NAMES latin1", 0, append(setVar("character_set_connection", "latin1"), setVar("character_set_results", "latin1")...)...)
	r.sql("SET collation_connection=latin1_bin", 0, setVar("collation_connection", "latin1_bin")...)
	r.sql("SET sql_mode='ANSI'", 0, setVar("sql_mode", "ANSI")...)
	r.sql("SET sql_select_limit=10", 0, setVar("sql_select_limit", "10")...)
	r.sql("SET init_connect='a''b'", 0, setVar("time_zone", `a'b\`)...)
	got := r.rebuilt()
	if len(got) != 1 {
		t.Fatalf("rebuild: %q", got)
	}
	if !strings.HasPrefix(got[0], "SET SESSION sql_mode='ANSI',") || !strings.HasSuffix(got[0], ",SESSION autocommit='OFF'") {
		t.Errorf("order: %s", got[0])
	}
	charset, collation := strings.Index(got[0], ",NAMES latin1,"), strings.Index(got[0], "collation_connection=")
	if charset < 0 || collation < charset {
		t.Errorf("the collation comes before the character set: %s", got[0])
	}
	for _, want := range []string{"SESSION innodb_lock_wait_timeout=5", "SESSION lc_time_names='de_DE'", "SESSION time_zone=CONVERT(0x6127625C USING utf8mb4)"} {
		if !strings.Contains(got[0], want) {
			t.Errorf("%s is not in %s", want, got[0])
		}
	}
}

// MariaDB 11.8 names variables in the answer to a login. They are what every login gets, and to set character_set_connection to what
// it is would change the collation.
func TestVariablesOfTheLoginAreNotReplayed(t *testing.T) {
	r := trackedRig(t)
	tracked := okay(auto, append(setVar("character_set_connection", "utf8mb4"), setVar("redirect_url", "")...)...)
	if _, err := r.core.Login(tracked[wire.HeaderSize:]); err != nil {
		t.Fatal(err)
	}
	if got := r.rebuilt(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestSetNamesIsReplayedAsItWas(t *testing.T) {
	r := trackedRig(t)
	for _, c := range []struct{ sql, reported, want string }{
		{"SET NAMES utf8mb4", "utf8mb4", "SET NAMES utf8mb4"},
		{"SET NAMES 'latin1', character_set_results=NULL", "latin1", "SET NAMES 'latin1',SESSION character_set_results='latin1'"},
		{"SET CHARACTER SET utf8mb4", "utf8mb4", "SET CHARACTER SET utf8mb4"},
	} {
		r.sql(c.sql, auto, append(setVar("character_set_connection", c.reported), setVar("character_set_results", c.reported)...)...)
		if got := r.rebuilt(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %q, want %q", c.sql, got, c.want)
		}
	}
	r.wantPins(0)
	r.sql("USE other", auto, change(wire.TrackSchema, str("other")...)...)
	if got, want := r.rebuilt(), []string{"app", "SET CHARACTER SET utf8mb4", "other"}; !slices.Equal(got, want) { // the collation is that of the schema before
		t.Errorf("%q, want %q", got, want)
	}
	r.sql("DROP DATABASE other", auto, change(wire.TrackSchema, str("")...)...)
	r.wantPins(PinUnknown)
	r.sql("SET NAMES utf8mb4", auto, setVar("character_set_connection", "utf8mb4")...)
	r.wantPins(0)
	r.sql("SET character_set_collations='utf8mb4=utf8mb4_bin'", auto, setVar("character_set_collations", "utf8mb4=utf8mb4_bin")...)
	r.wantPins(PinUnknown) // whether the NAMES came before or after it counts
}

func TestCollationOfSetNames(t *testing.T) {
	r := trackedRig(t)
	r.sql("SET NAMES utf8mb4 COLLATE utf8mb4_bin", auto, setVar("character_set_connection", "utf8mb4")...)
	want := "SET NAMES utf8mb4 COLLATE utf8mb4_bin"
	if got := r.rebuilt(); len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
	r.sql("SET character_set_results=utf8mb4", auto, setVar("character_set_results", "utf8mb4")...)
	want += ",SESSION character_set_results='utf8mb4'"
	if got := r.rebuilt(); len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
	r.sql("SET NAMES latin1", auto, setVar("character_set_connection", "latin1")...)
	if got := r.rebuilt(); len(got) != 1 || strings.Contains(got[0], "collation") {
		t.Errorf("the old collation survives a new character set: %q", got)
	}
}

func TestUnreportedAssignmentIsReplayed(t *testing.T) {
	r := trackedRig(t)
	r.sql("SET sql_mode='', net_buffer_length=4096", auto, append(setVar("sql_mode", ""), stateChanged...)...)
	r.wantPins(0)
	if got := r.rebuilt(); len(got) != 1 || got[0] != "SET SESSION sql_mode='',SESSION net_buffer_length=4096" {
		t.Errorf("%q", got)
	}
}

func TestRoleAndTextStatements(t *testing.T) {
	r := trackedRig(t)
	r.sql("SET ROLE admin;", auto, stateChanged...)
	r.sql("PREPARE a FROM 'SELECT 1'", auto, stateChanged...)
	r.sql("PREPARE b FROM 'SELECT 2'", auto, stateChanged...)
	r.sql("DEALLOCATE PREPARE a", auto, stateChanged...)
	r.wantPins(0)
	if got := r.rebuilt(); !slices.Equal(got, []string{"SET ROLE admin", "PREPARE b FROM 'SELECT 2'"}) {
		t.Errorf("%q", got)
	}
	r.sql("SET @q='SELECT 3'", auto, stateChanged...)
	r.sql("PREPARE c FROM @q", auto, stateChanged...)
	if !slices.Contains(r.core.Pins().Kinds(), "unknown") {
		t.Error("a statement prepared from a variable cannot be replayed")
	}
}

func TestSetStatementHoldsForItselfOnly(t *testing.T) {
	r := trackedRig(t)
	r.sql("SET STATEMENT max_statement_time=1 FOR SELECT 1", auto, setVar("max_statement_time", "1")...)
	if got := r.rebuilt(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestTransactionCharacteristics(t *testing.T) {
	r := trackedRig(t)
	set := change(wire.TrackTxnChars, str("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;")...)
	r.sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", auto, set...)
	if got := r.rebuilt(); len(got) != 1 || got[0] != "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE" {
		t.Errorf("%q", got)
	}
	started := change(wire.TrackTxnChars, str("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION READ WRITE;")...)
	r.sql("START TRANSACTION READ WRITE", auto|wire.StatusInTrans, started...)
	if !r.core.Busy() {
		t.Fatal("not in a transaction")
	}
	if got := r.rebuilt(); len(got) != 0 {
		t.Errorf("a lost transaction is begun anew behind the client's back: %q", got)
	}
	if r.core.Busy() {
		t.Error("still in a transaction")
	}
}

func TestFailedRoutineMayHaveBegunTransaction(t *testing.T) {
	r := trackedRig(t)
	r.run(query("CALL p()"), refusal(1644))
	if !r.core.Busy() {
		t.Error("a routine can begin a transaction and fail then; its ERR does not tell")
	}
	r.sql("ROLLBACK", auto)
	if r.core.Busy() {
		t.Error("the server has said since that there is none")
	}
	r.run(query("INSERT INTO t VALUES (1)"), refusal(1062))
	if r.core.Busy() {
		t.Error("a plain statement that fails begins nothing")
	}
}

func TestSchemaFollowsReports(t *testing.T) {
	r := trackedRig(t)
	r.sql("USE other", auto, change(wire.TrackSchema, str("other")...)...)
	if r.core.Schema() != "other" {
		t.Errorf("schema %q", r.core.Schema())
	}
	r.run(packet(0, wire.ComResetConnection), okay(auto))
	if r.core.Schema() != "other" {
		t.Error("COM_RESET_CONNECTION keeps the schema")
	}
}

func TestUntrackedSchema(t *testing.T) {
	r := newRig(t, Config{Client: clientCaps, Server: clientCaps, Schema: "app"})
	r.run(packet(0, append([]byte{wire.ComInitDB}, "other"...)...), okay(auto))
	if r.core.Schema() != "other" {
		t.Errorf("schema %q", r.core.Schema())
	}
	r.run(packet(0, append([]byte{wire.ComInitDB}, "none"...)...), refusal(1049))
	if r.core.Schema() != "other" {
		t.Errorf("schema %q after a refusal", r.core.Schema())
	}
}

func TestResetConnectionSetsUpTrackingAgain(t *testing.T) {
	r := trackedRig(t)
	r.sql("SET sql_mode='ANSI'", auto, setVar("sql_mode", "ANSI")...)
	id := r.prepare("SELECT 1", 1, 1, 0)
	r.run(packet(0, wire.ComResetConnection), okay(auto))
	b := r.core.FollowUp()
	if !strings.HasPrefix(string(packets(t, b)[0][1:]), "SET session_track") {
		t.Fatalf("follow-up %q", b)
	}
	if _, done, err := r.core.Prelude(okay(auto)); !done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	if r.core.stmts.find(id) != nil {
		t.Error("the statement is still there")
	}
	r.core.Detach()
	sent := r.attach()
	if len(sent) != 2 || sent[0] != "" {
		t.Errorf("rebuild %q; want COM_RESET_CONNECTION and tracking", sent)
	}
	r.sql("SELECT 1", auto)
	if r.core.FollowUp() != nil {
		t.Error("follow-up after a query")
	}
}

func TestLoginIsStripped(t *testing.T) {
	c := New(Config{Client: clientCaps, Server: serverCaps})
	tracked := okay(auto, change(wire.TrackSchema, str("app")...)...)
	got, err := c.Login(tracked[wire.HeaderSize:])
	if err != nil || string(got) != string(okay(auto)[wire.HeaderSize:]) {
		t.Errorf("%x, %v", got, err)
	}
	if c.Schema() != "app" {
		t.Errorf("schema %q", c.Schema())
	}
}

func TestTextsOfPrepareAreBounded(t *testing.T) {
	r := trackedRig(t)
	half := strings.Repeat("1", maxTexts/8)
	for i := range 7 {
		r.sql(fmt.Sprintf("PREPARE p%d FROM 'SELECT %s'", i, half), auto, stateChanged...)
	}
	r.sql(fmt.Sprintf("PREPARE p1 FROM 'SELECT %s'", half), auto, stateChanged...)
	r.wantPins(0)
	r.sql(fmt.Sprintf("PREPARE p7 FROM 'SELECT %s'", half), auto, stateChanged...)
	r.wantPins(PinUninspected)
}

// What servers report with each commit is not a setting of the session.
func TestGTIDsAreNotRestored(t *testing.T) {
	r := trackedRig(t)
	r.sql("INSERT INTO t VALUES (1)", auto, setVar("last_gtid", "0-1-5")...)
	r.sql("INSERT INTO t VALUES (1)", auto, change(wire.TrackGTID, append([]byte{0}, str("u:7")...)...)...)
	r.wantPins(0)
	if got := r.rebuilt(); len(got) != 0 {
		t.Errorf("rebuilt with %q", got)
	}
}

func TestWhatSetNamesDependsOn(t *testing.T) {
	for _, statements := range [][]string{
		{"SET old_mode=''", "old_mode"},
		{"SET character_set_collations='utf8mb4=utf8mb4_bin'", "character_set_collations"},
	} {
		r := trackedRig(t)
		r.sql(statements[0], auto, setVar(statements[1], "x")...)
		r.wantPins(PinUnknown)
	}
	r := trackedRig(t)
	r.sql("SET CHARACTER SET utf8mb4", auto, setVar("character_set_connection", "utf8mb4")...)
	r.wantPins(0)
	r.prepare("SELECT 1", 1, 0, 0) // its collation is that of the default schema, whichever that is on the way
	r.wantPins(PinUnknown)
}
