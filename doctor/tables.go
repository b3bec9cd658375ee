package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// shown is how many tables or events are named in a finding.
const shown = 5

// engines looks for tables that no transaction protects. All servers have the same tables: one is enough.
func engines(ctx context.Context, x *examination) error {
	p, err := x.thePrimary()
	if err != nil {
		return err
	}
	if !p.rights.has("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "INDEX", "SHOW VIEW", "TRIGGER", "REFERENCES") {
		return fmt.Errorf("the control account does not see the tables (GRANT SHOW VIEW ON *.* TO %s shows their names)", x.control())
	}
	rs, err := p.rows(ctx, `SELECT table_schema AS s, table_name AS t, engine AS e FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND engine NOT IN ('InnoDB', 'RocksDB', 'TokuDB', 'PERFORMANCE_SCHEMA', 'ndbcluster', 'SEQUENCE')
AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')`)
	if err != nil {
		return fmt.Errorf("list the tables on %s: %w", p.name(), err)
	}
	if len(rs) == 0 {
		return nil
	}
	var names, fix []string
	for _, r := range rs {
		names = append(names, fmt.Sprintf("%s.%s (%s)", r["s"], r["t"], r["e"]))
		fix = append(fix, fmt.Sprintf("ALTER TABLE `%s`.`%s` ENGINE = InnoDB", r["s"], r["t"]))
	}
	x.find("TABLE_ENGINE", "", "Tables have an engine without transactions. After a crash they may be damaged, and may differ between the servers; changes to them cannot be rolled back.",
		first(names), first(fix)...)
	return nil
}

// first gives the first few of a list, and how many more there are.
func first(list []string) []string {
	if len(list) <= shown {
		return list
	}
	return append(append([]string{}, list[:shown]...), fmt.Sprintf("and %d more", len(list)-shown))
}

// keyless looks for tables for which InnoDB had to make a hidden key.
func keyless(ctx context.Context, x *examination) error {
	p, err := x.thePrimary()
	if err != nil {
		return err
	}
	if !p.rights.has("PROCESS") {
		return errors.New("the control account lacks the right PROCESS")
	}
	prefix := "innodb_"
	if p.mariadb() {
		prefix = "innodb_sys_"
	} else if major, _ := numbers(p.facts.Version); major < 8 {
		prefix = "innodb_sys_"
	}
	rs, err := p.rows(ctx, `SELECT t.name AS name FROM information_schema.`+prefix+`indexes i
JOIN information_schema.`+prefix+`tables t ON t.table_id = i.table_id
WHERE i.name = 'GEN_CLUST_INDEX' AND t.name LIKE '%/%' AND t.name NOT LIKE 'mysql/%' AND t.name NOT LIKE 'sys/%'`)
	if err != nil {
		return fmt.Errorf("list the keys of the tables on %s: %w", p.name(), err)
	}
	var names, fix []string
	for _, r := range rs {
		name := strings.Replace(r["name"], "/", ".", 1)
		names = append(names, name)
		fix = append(fix, fmt.Sprintf("ALTER TABLE `%s` ADD PRIMARY KEY (...)", strings.Replace(name, ".", "`.`", 1)))
	}
	if len(names) > 0 {
		x.find("TABLE_WITHOUT_KEY", "", "Tables have no primary key. The standby has to search the whole table for every row that changes: one large UPDATE or DELETE makes it fall behind for hours. Transactions on them cannot be undone safely by a rewind.",
			first(names), first(fix)...)
	}
	return nil
}

// events looks for events that run on a standby, or nowhere.
func events(ctx context.Context, x *examination, s *server) error {
	if x.primary == "" {
		return errNoPrimary
	}
	query := `SELECT event_schema AS s, event_name AS n, status AS status FROM information_schema.events
WHERE status <> 'DISABLED' AND event_schema NOT IN ('onewriter', 'sys', 'mysql')`
	switch {
	case s.mariadb():
		query = "SELECT db AS s, name AS n, status AS status FROM mysql.event WHERE status <> 'DISABLED' AND db NOT IN ('onewriter', 'sys', 'mysql')"
	case !s.rights.has("EVENT"):
		return fmt.Errorf("the control account does not see the events (GRANT EVENT ON *.* TO %s)", x.control())
	}
	rs, err := s.rows(ctx, query)
	if err != nil {
		return fmt.Errorf("list the events: %w", err)
	}
	var running, asleep []string
	for _, r := range rs {
		name := fmt.Sprintf("`%s`.`%s`", r["s"], r["n"])
		if r["status"] == "ENABLED" {
			running = append(running, name)
		} else {
			asleep = append(asleep, name)
		}
	}
	x.judgeEvents(s, running, asleep)
	return nil
}

func (x *examination) judgeEvents(s *server, running, asleep []string) {
	var fix []string
	if x.isStandby(s) && len(running) > 0 && on(s.v("event_scheduler")) {
		for _, e := range running {
			fix = append(fix, "SET SESSION sql_log_bin = 0; ALTER EVENT "+e+" DISABLE ON SLAVE")
		}
		x.find("EVENT_ON_STANDBY", s.name(), "Events are enabled on it although it is a standby, and its event scheduler runs. They run twice, here and on the primary: with an account that passes read_only they change data, otherwise they fail every time.",
			first(running), first(fix)...)
	}
	if x.isPrimary(s) && len(asleep) > 0 {
		for _, e := range asleep {
			fix = append(fix, "ALTER EVENT "+e+" ENABLE")
		}
		x.find("EVENT_ASLEEP", s.name(), "Events are disabled on it because they were created on another server, which was the primary then. They run nowhere. Enabling them here disables them on the standbys.",
			first(asleep), first(fix)...)
	}
}
