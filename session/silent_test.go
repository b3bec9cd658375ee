package session

import (
	"slices"
	"strings"
	"testing"

	"github.com/onewriter/onewriter/internal/wire"
)

// restored is what the session sends to its next server connection, but for the tracking.
func (r *rig) restored() string {
	r.t.Helper()
	r.core.Detach()
	return strings.Join(r.attach()[1:], "; ")
}

// MariaDB 10.11 reports nothing of SET @@name without a scope.
func TestSetWithoutScopeIsTakenFromItsText(t *testing.T) {
	r := trackedRig(t)
	r.run(query("SET collation_connection=utf8mb4_unicode_ci"), okay(auto, setVar("collation_connection", "utf8mb4_unicode_ci")...))
	r.run(query("SET @@character_set_connection=binary"), okay(auto))
	if got := r.restored(); strings.Contains(got, "collation_connection") || !strings.Contains(got, "character_set_connection=binary") {
		t.Errorf("restored by %s", got)
	}
	for _, name := range []string{"gbk", "'GBK'", "28"} {
		r.run(query("SET @@character_set_client=latin1"), okay(auto))
		r.run(query("SET @@character_set_client="+name), okay(auto))
		r.run(query("SELECT '\xe5\\', @a:=5 -- '"), okay(auto)) // in gbk the backslash belongs to the character
		if !slices.ContainsFunc(r.core.ledger.users.list, func(v userVariable) bool { return v.name == "a" }) {
			t.Errorf("%s: the text is not read in gbk", name)
		}
		r.core.ledger.users = userVariables{}
	}
}

func TestTextIsReadAsBeforeItRan(t *testing.T) {
	r := trackedRig(t)
	r.run(query(`SET sql_mode='NO_BACKSLASH_ESCAPES', @a='\'', @b=5`), okay(auto|wire.StatusNoBackslashEscapes, stateChanged...))
	if got := len(r.core.ledger.users.list); got != 2 || r.core.Pins() != 0 {
		t.Errorf("%d user variables, pins %v", got, r.core.Pins())
	}
}

func TestSkippedCommentsChangeNothing(t *testing.T) {
	for _, flavor := range []Flavor{MySQL, MariaDB} {
		r := newRig(t, Config{Flavor: flavor, Client: clientCaps, Server: serverCaps, Schema: "app"})
		for _, sql := range []string{
			"/*!99999 SET NAMES latin1 COLLATE latin1_bin, @a=5 */", "/*!99999 PREPARE p FROM 'SELECT 1' */", "/*!99999 SET SESSION max_seeks_for_key=5 */",
		} {
			r.run(query(sql), okay(auto))
		}
		if got := r.restored(); got != "" || r.core.Pins() != 0 {
			t.Errorf("%v: restored by %q, pins %v", flavor, got, r.core.Pins())
		}
		r.run(query("/*!80000 SET NAMES latin1 COLLATE latin1_bin */"), okay(auto, stateChanged...))
		if got := r.restored(); got != "SET NAMES latin1 COLLATE latin1_bin" {
			t.Errorf("%v: restored by %q", flavor, got)
		}
		r.run(query("SET @a=5 /*!80000 , NAMES latin1 */"), okay(auto, stateChanged...))
		if r.core.Pins() != PinUnknown {
			t.Errorf("%v: pins %v", flavor, r.core.Pins())
		}
	}
}

func TestSkippedReleasesKeepTheirPins(t *testing.T) {
	r := trackedRig(t)
	r.run(query("FLUSH TABLES WITH READ LOCK"), okay(auto))
	r.run(query("LOCK TABLES t READ"), okay(auto))
	r.run(query("DO GET_LOCK('a', 1)"), okay(auto))
	want := r.core.Pins()
	for _, sql := range []string{"/*!99999 UNLOCK TABLES */", "/*!99999 START TRANSACTION */", "/*!99999 DO RELEASE_ALL_LOCKS() */"} {
		if r.run(query(sql), okay(auto)); r.core.Pins() != want {
			t.Errorf("%s leaves %v of %v", sql, r.core.Pins(), want)
		}
	}
}

func TestVariablesByExpressionAreFetched(t *testing.T) {
	r := newRig(t, Config{Flavor: MySQL, Client: clientCaps, Server: serverCaps, Schema: "app"})
	r.run(query("SET max_seeks_for_key=1+@@max_sort_length, net_retry_count=DEFAULT"), okay(auto, stateChanged...))
	if p := r.core.Pins(); p != 0 {
		t.Fatalf("pinned by %v", p)
	}
	sent := r.core.Fetch()
	if !strings.Contains(string(sent), "HEX(CONVERT(@@SESSION.max_seeks_for_key USING utf8mb4))") || strings.Contains(string(sent), "net_retry") {
		t.Fatalf("fetches %q", sent)
	}
	lost := *r.core
	lost.Detach()
	if p := lost.Pins(); p != PinUnknown {
		t.Errorf("lost: pinned by %v", p)
	}
	answer := result([][]byte{column(typeLongLong, 0), column(typeText, 0)}, "0", "\x003\x001\x003\x000\x003\x002\x003\x005") // in ucs2
	if _, done, err := r.core.Prelude(answer); err != nil || !done {
		t.Fatal(done, err)
	}
	if got, want := r.restored(), "SET SESSION max_seeks_for_key=1025,SESSION net_retry_count=DEFAULT"; got != want {
		t.Errorf("restored by %q, want %q", got, want)
	}
}

// MariaDB names the point in time of system_versioning_asof, and reads it, in the time zone of the session.
func TestMomentFollowsTheTimeZone(t *testing.T) {
	r := trackedRig(t)
	r.run(query("SET time_zone='+02:00'"), okay(auto, slices.Concat(setVar("time_zone", "+02:00"), stateChanged)...))
	r.run(query("SET system_versioning_asof='2030-01-01'"), okay(auto, slices.Concat(setVar(pointInTime, "2030-01-01 00:00:00.000000"), stateChanged)...))
	if got, want := r.restored(), "SET SESSION time_zone='+02:00'; SET SESSION system_versioning_asof='2030-01-01 00:00:00.000000'"; got != want {
		t.Errorf("restored by %s", got)
	}
	r.run(query("SET time_zone='+05:00'"), okay(auto, slices.Concat(setVar("time_zone", "+05:00"), stateChanged)...))
	if sent := r.core.Fetch(); !strings.Contains(string(sent), "@@SESSION."+pointInTime) {
		t.Errorf("fetches %q", sent)
	}
}

// MariaDB 10.11 never reports what a routine changed before it failed; MySQL 9.7 does with the next answer.
func TestFailedRoutines(t *testing.T) {
	ping := []byte{1, 0, 0, 0, wire.ComPing}
	for _, sql := range []string{"CALL p()", "SELECT f(a) FROM t"} {
		r := trackedRig(t)
		if r.run(query(sql), refusal(1644)); r.core.Pins() != PinRoutine {
			t.Errorf("MariaDB, %s: pins %v", sql, r.core.Pins())
		}
		r = newRig(t, Config{Flavor: MySQL, Client: clientCaps, Server: serverCaps, Schema: "app"})
		r.run(query(sql), refusal(1644))
		if p := r.core.Pins(); p != 0 {
			t.Errorf("MySQL, %s: pins %v", sql, p)
		}
		if got := r.core.FollowUp(); string(got) != string(ping) {
			t.Fatalf("MySQL, %s: follow-up is %q", sql, got)
		}
		lost := *r.core
		if lost.Detach(); lost.Pins() != PinRoutine {
			t.Errorf("MySQL, %s, lost: pins %v", sql, lost.Pins())
		}
		if _, done, err := r.core.Prelude(okay(auto, stateChanged...)); err != nil || !done || r.core.Pins() != PinRoutine {
			t.Errorf("MySQL, %s: pins %v, %v, %v", sql, r.core.Pins(), done, err)
		}
	}
	r := trackedRig(t)
	if r.run(query("SELECT f(1)"), refusal(1305)); r.core.Pins() != PinRoutine { // f calls another one, which is not there
		t.Errorf("pins %v", r.core.Pins())
	}
	r = trackedRig(t)
	r.run(query("SELECT nonsense(1 FROM t"), refusal(1064))
	r.run(query("PREPARE p FROM 'SELECT 1'"), okay(auto, stateChanged...))
	if r.run(query("EXECUTE p"), refusal(1146)); r.core.Pins() != 0 {
		t.Errorf("pins %v", r.core.Pins())
	}
}

func TestRefusedSeveralStatementsChangeNothing(t *testing.T) {
	r := trackedRig(t)
	if r.run(query("SET ROLE a; SELECT 1"), refusal(1064)); r.core.Pins() != 0 {
		t.Errorf("pins %v", r.core.Pins())
	}
}
