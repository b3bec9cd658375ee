package migration

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// notCompared are variables that belong to a server or a connection, not to what the session chose; docs/protocol.md
// lists them for users.
var notCompared = map[string]string{
	"pseudo_thread_id": "the connection's id", "timestamp": "the time", "last_gtid": "of the last commit on this server",
	"last_insert_id": "compared by LAST_INSERT_ID()", "identity": "compared by LAST_INSERT_ID()", "in_transaction": "compared by the status flag",
	"warning_count": "of the last statement", "error_count": "of the last statement", "statement_id": "of the last statement",
	"session_track_system_variables": "the proxy's own", "session_track_state_change": "the proxy's own", "session_track_schema": "the proxy's own",
	"session_track_transaction_info": "the proxy's own", "gtid_binlog_pos": "the server's", "gtid_binlog_state": "the server's",
	"gtid_current_pos": "the server's", "gtid_executed": "the server's",
}

// userVariables are the names that sequences use.
var userVariables = []string{"a", "b", "c", "`x y`"}

// observations are queries of everything else. Their whole responses are compared, metadata included.
func observations(f mysqltest.Flavor, random bool) []step {
	list := []step{
		query("SELECT DATABASE(), CURRENT_USER(), USER() LIKE 'app%%@%%', CURRENT_ROLE()"),
		query("SELECT CHARSET('x'), COLLATION('x'), COERCIBILITY('x'), CHARSET(CONCAT('x',1)), COLLATION(CONCAT(1))"),
		query("SELECT HEX('ä'), LENGTH('ä'), 'ä'"),
		query(`SELECT 'a\'b'`), query(`SELECT "a"`), query(`SELECT 'a' || 'b', 1-2`), query("SELECT CAST(1 AS UNSIGNED) - 2"),
		query("SELECT NOW() - UTC_TIMESTAMP() <> 0, FROM_UNIXTIME(0), DATE_FORMAT('2024-02-03','%W %M')"),
		query("SELECT b FROM app.rows4 WHERE a < 3"),
	}
	for _, v := range userVariables {
		charset := "CHARSET(@" + v + "), COLLATION(@" + v + ")"
		if f == mysqltest.MySQL && random { // a NULL assigned to a number shows the collation of the connection that assigned the number
			charset = "IF(@" + v + " IS NULL, 0, CHARSET(@" + v + ")), IF(@" + v + " IS NULL, 0, COLLATION(@" + v + "))"
		}
		text := "HEX(@" + v + "), " + charset + ", COERCIBILITY(@" + v + ")"
		if f == mysqltest.MySQL { // where metadata depends on how a value was assigned; types show in JSON
			list = append(list, query("SELECT JSON_ARRAY(@"+v+")"), query("SELECT JSON_ARRAY("+text+")"))
		} else {
			list = append(list, query("SELECT @"+v), query("SELECT "+text))
		}
	}
	for _, n := range []string{"p1", "p2"} {
		list = append(list, query("EXECUTE "+n))
	}
	for slot := range slots {
		list = append(list, step{kind: kindStmtReset, slot: slot},
			step{kind: kindExecute, slot: slot, count: 3}, step{kind: kindExecute, slot: slot, count: 2, types: true})
	}
	return list
}

// compare looks at both connections.
func (a *attempt) compare() error {
	got, err := a.lastID(a.subject)
	if err == nil && strings.HasPrefix(got, "ended") {
		return a.judgePin(got)
	}
	if err != nil {
		return err
	}
	want, err := a.lastID(a.control)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("LAST_INSERT_ID() is %s, control %s", got, want)
	}
	if err := a.compareVariables(); err != nil {
		return err
	}
	for _, s := range observations(a.w.place.flavor, a.q.random) {
		if ended, err := a.step(s); err != nil {
			return fmt.Errorf("observed by %v: %w", s, err)
		} else if ended {
			return fmt.Errorf("ended while observed by %v", s)
		}
	}
	return a.comparePlace()
}

// lastID is LAST_INSERT_ID(), "last" if it is the one that an answer named.
func (a *attempt) lastID(p *peer) (string, error) {
	rows, err := p.rows("SELECT LAST_INSERT_ID()")
	if err != nil {
		if strings.Contains(err.Error(), "onewriter: session ended") {
			return "ended " + err.Error(), nil
		}
		return "", err
	}
	if rows[0][0] == fmt.Sprint(p.lastID) {
		return "last", nil
	}
	return rows[0][0], nil
}

func (a *attempt) compareVariables() error {
	got, err := variablesOf(a.subject)
	if err != nil {
		return err
	}
	want, err := variablesOf(a.control)
	if err != nil {
		return err
	}
	var different []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, skip := notCompared[name]; !skip && !a.w.place.other[name] && got[name] != want[name] {
			different = append(different, fmt.Sprintf("%s is %q, control %q", name, got[name], want[name]))
		}
	}
	if len(different) > 0 {
		return fmt.Errorf("variables differ: %s", strings.Join(different, "; "))
	}
	return nil
}

func variablesOf(p *peer) (map[string]string, error) {
	rows, err := p.rows("SHOW SESSION VARIABLES")
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, len(rows))
	for _, r := range rows {
		m[strings.ToLower(r[0])] = r[1]
	}
	return m, nil
}

// comparePlace checks that the session is where it belongs, unless something keeps it.
func (a *attempt) comparePlace() error {
	i, ok := a.w.session(a.subject)
	if !ok {
		return nil
	}
	if want := a.w.place.instance(a.w.at).Name; i.Server != want && !i.InTransaction && len(a.held) == 0 {
		return fmt.Errorf("the session is on %q and not on %q", i.Server, want)
	}
	return nil
}
