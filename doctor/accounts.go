package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ownAccounts belong to the servers themselves or to the distribution.
var ownAccounts = []string{"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "debian-sys-maint", "mysql"}

// administrator reports whether an account serves the administration of one server only: the server's own ones, and
// root from the machine itself.
func (s *server) administrator(user, host string) bool {
	return slices.Contains(ownAccounts, user) || user == "root" && (loopback(host) || host == s.v("hostname"))
}

// readsAccounts gives an error when the control account cannot see other accounts.
func (s *server) readsAccounts(ctx context.Context, x *examination) error {
	if _, err := s.rows(ctx, "SELECT 1 FROM mysql.user LIMIT 1"); err != nil {
		return fmt.Errorf("the control account may not read the accounts: %w (GRANT SELECT ON mysql.* TO %s)", err, x.control())
	}
	return nil
}

// control is the control account for the SQL of findings.
func (x *examination) control() string {
	return "'" + strings.ReplaceAll(x.d.cfg.ControlUser, "'", "''") + "'@'%'"
}

// passesFence lists the privileges that get past read_only.
func (s *server) passesFence() []string {
	if !s.mariadb() {
		return []string{"SUPER", "CONNECTION_ADMIN"}
	}
	if major, minor := numbers(s.facts.Version); major > 10 || major == 10 && minor >= 11 {
		return []string{"READ_ONLY ADMIN"} // SUPER does not include it any more
	}
	return []string{"SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN"}
}

// numbers reads the first two numbers of a version.
func numbers(version string) (major, minor int) {
	parts := strings.SplitN(strings.TrimPrefix(version, "5.5.5-"), ".", 3)
	major, _ = strconv.Atoi(parts[0])
	if len(parts) > 1 {
		minor, _ = strconv.Atoi(parts[1])
	}
	return major, minor
}

// privileged looks for accounts that a fenced server lets write.
func privileged(ctx context.Context, x *examination) error {
	found := map[string][]string{}
	worst := Warning
	for _, s := range x.examined() {
		if err := s.readsAccounts(ctx, x); err != nil {
			return err
		}
		list := s.passesFence()
		rs, err := s.rows(ctx, `SELECT grantee AS grantee, privilege_type AS privilege FROM information_schema.user_privileges
WHERE privilege_type IN ('`+strings.Join(list, "', '")+`')`)
		if err != nil {
			return fmt.Errorf("read the privileges on %s: %w", s.name(), err)
		}
		for _, r := range rs {
			user, host := grantee(r["grantee"])
			if !s.administrator(user, host) && user != x.d.cfg.ControlUser {
				found[r["grantee"]] = append(found[r["grantee"]], r["privilege"]+" on "+s.name())
			}
		}
		if s.mariadb() || x.isStandby(s) && !s.facts.SuperReadOnly {
			worst = Critical
		}
	}
	x.foundPrivileged(worst, found)
	return nil
}

func (x *examination) foundPrivileged(worst Severity, found map[string][]string) {
	var evidence, fix []string
	for _, account := range slices.Sorted(maps.Keys(found)) {
		evidence = append(evidence, account+" has "+words(found[account]))
		var list []string
		for _, f := range found[account] {
			right, _, _ := strings.Cut(f, " on ")
			if !slices.Contains(list, right) {
				list = append(list, right)
			}
		}
		fix = append(fix, "REVOKE "+strings.Join(list, ", ")+" ON *.* FROM "+account)
	}
	if len(evidence) == 0 {
		return
	}
	summary := "Accounts may write although read_only is set. In a switchover or failover their writes go on at the old primary and are lost, or make the histories go apart. Applications must not have such rights."
	if worst == Warning {
		summary = "Accounts have rights that pass read_only, and could switch super_read_only off, which is all that stops them. Applications must not have such rights."
	}
	x.findAs(worst, "PRIVILEGED_ACCOUNT", "", summary, evidence, fix...)
}

// grantee reads 'user'@'host' as information_schema prints it.
func grantee(s string) (user, host string) {
	user, host = s, ""
	if i := strings.LastIndex(s, "@"); i >= 0 {
		user, host = s[:i], s[i+1:]
	}
	return strings.Trim(user, "'"), strings.Trim(host, "'")
}

// need is a right that the control account must have, or one of several names for it.
type need struct {
	any []string
	why string
}

// needs lists what Onewriter does with its account.
func (s *server) needs() []need {
	out := []need{{[]string{"PROCESS"}, "to see the sessions that block a fence"}}
	super := []string{"SUPER"}
	major, minor := numbers(s.facts.Version)
	switch {
	case s.mariadb() && major == 10 && minor < 5, !s.mariadb() && major < 8:
		return append(out, need{super, "to close and open servers and to end sessions"}, need{[]string{"REPLICATION CLIENT"}, "to see replication"},
			need{[]string{"REPLICATION SLAVE", "REPLICATION REPLICA"}, "to read binary logs"})
	case s.mariadb():
		if major > 10 || minor >= 11 {
			super = nil
		}
		return append(out,
			need{append([]string{"READ_ONLY ADMIN", "READ ONLY ADMIN"}, super...), "to close and open servers"},
			need{append([]string{"CONNECTION ADMIN"}, super...), "to end sessions, and to get in when all connections are used up"},
			need{append([]string{"SLAVE MONITOR", "REPLICA MONITOR"}, super...), "to see replication"},
			need{append([]string{"BINLOG MONITOR", "REPLICATION CLIENT"}, super...), "to see the binary log"},
			need{append([]string{"REPLICATION SLAVE ADMIN", "REPLICATION REPLICA ADMIN"}, super...), "to stop, start and repoint replication"},
			need{append([]string{"REPLICATION MASTER ADMIN"}, super...), "to switch semi-sync and to see the replicas"},
			need{[]string{"REPLICATION SLAVE", "REPLICATION REPLICA"}, "to read binary logs"})
	default:
		return append(out,
			need{[]string{"SYSTEM_VARIABLES_ADMIN", "SUPER"}, "to close and open servers"},
			need{[]string{"CONNECTION_ADMIN", "SUPER"}, "to end sessions, and to get in when all connections are used up"},
			need{[]string{"REPLICATION_SLAVE_ADMIN", "SUPER"}, "to stop, start and repoint replication"},
			need{[]string{"REPLICATION CLIENT"}, "to see replication"},
			need{[]string{"XA_RECOVER_ADMIN"}, "to see prepared XA transactions"},
			need{[]string{"REPLICATION SLAVE", "REPLICATION REPLICA"}, "to read binary logs"})
	}
}

// controlRights looks for rights that the control account lacks.
func controlRights(_ context.Context, x *examination, s *server) error {
	var evidence, lacks []string
	for _, n := range s.needs() {
		if !s.rights.has(n.any...) {
			lacks = append(lacks, n.any[0])
			evidence = append(evidence, n.any[0]+" is missing: "+n.why)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	if s.rights.roles {
		return fmt.Errorf("the control account has roles, and what they give is not known (missing without them: %s)", words(lacks))
	}
	x.find("CONTROL_RIGHTS", s.name(), "The control account lacks rights. A switchover or failover would stop at the step that needs them.",
		evidence, "GRANT "+strings.Join(lacks, ", ")+" ON *.* TO "+x.control())
	return nil
}

func adminPort(_ context.Context, x *examination, s *server) error {
	port, has := s.vars["extra_port"]
	if s.mariadb() && has && port == "0" {
		x.find("NO_ADMIN_PORT", s.name(), "It has no extra port for administrators. When applications use up all connections, only one more login is possible.",
			[]string{"extra_port is 0"}, "my.cnf: extra_port = 3307", "restart the server")
	}
	if address, has := s.vars["admin_address"]; has && address == "" {
		x.find("NO_ADMIN_PORT", s.name(), "It has no address for administrators. When applications use up all connections, only one more login is possible.",
			[]string{"admin_address is empty"}, "my.cnf: admin_address = 127.0.0.1", "restart the server")
	}
	return nil
}

// grantTable is a table of accounts or rights.
type grantTable struct {
	name, about string
	user, host  string // the columns that name the account
}

var grantTables = map[bool][]grantTable{ // by whether it is MariaDB
	true: {
		{"global_priv", "password or global rights", "user", "host"}, {"db", "rights on schemas", "user", "host"},
		{"tables_priv", "rights on tables", "user", "host"}, {"columns_priv", "rights on columns", "user", "host"},
		{"procs_priv", "rights on routines", "user", "host"}, {"roles_mapping", "roles", "user", "host"},
	},
	false: {
		{"user", "password or global rights", "user", "host"}, {"global_grants", "global rights", "user", "host"},
		{"db", "rights on schemas", "user", "host"}, {"tables_priv", "rights on tables", "user", "host"},
		{"columns_priv", "rights on columns", "user", "host"}, {"procs_priv", "rights on routines", "user", "host"},
		{"role_edges", "roles", "to_user", "to_host"}, {"default_roles", "default roles", "user", "host"},
	},
}

// grants are the rows of a server's grant tables.
type grants map[string][]map[string]string

func (s *server) grants(ctx context.Context) (grants, error) {
	out := grants{}
	for _, t := range grantTables[s.mariadb()] {
		rs, err := s.rows(ctx, "SELECT * FROM mysql."+t.name)
		if number(err) == errNoSuchTable {
			if t.name != "global_priv" {
				continue
			}
			rs, err = s.rows(ctx, "SELECT * FROM mysql.user") // MariaDB before 10.4
		}
		if err != nil {
			return nil, fmt.Errorf("read mysql.%s on %s: %w", t.name, s.name(), err)
		}
		out[t.name] = rs
	}
	return out, nil
}

// sameGrants compares accounts and rights of all servers with those of the primary.
func sameGrants(ctx context.Context, x *examination) error {
	p, err := x.thePrimary()
	if err != nil {
		return err
	}
	if err := p.readsAccounts(ctx, x); err != nil {
		return err
	}
	want, err := p.grants(ctx)
	if err != nil {
		return err
	}
	for _, s := range x.examined() {
		if !x.isStandby(s) || s.mariadb() != p.mariadb() {
			continue
		}
		have, err := s.grants(ctx)
		if err != nil {
			return err
		}
		x.compareGrants(p, s, want, have)
	}
	return nil
}

func (x *examination) compareGrants(p, s *server, want, have grants) {
	differ := map[string][]string{}
	for _, t := range grantTables[s.mariadb()] {
		columns := common(want[t.name], have[t.name])
		w, h := t.lines(p, want[t.name], columns), t.lines(s, have[t.name], columns)
		for account := range union(w, h) {
			if w[account] != h[account] {
				differ[account] = append(differ[account], t.difference(p, s, w[account], h[account]))
			}
		}
	}
	if len(differ) == 0 {
		return
	}
	var evidence, fix []string
	for _, account := range slices.Sorted(maps.Keys(differ)) {
		evidence = append(evidence, account+": "+words(differ[account]))
		if len(fix) < 6 {
			fix = append(fix, "on "+p.name()+": SHOW CREATE USER "+account+"; SHOW GRANTS FOR "+account)
		}
	}
	x.find("GRANTS_DIFFER", s.name(), fmt.Sprintf("Its accounts are not those of the primary %s. After a failover applications could not log in there, or could do what they must not. Repeat on it, with sql_log_bin=0, what the primary says.", p.name()),
		evidence, fix...)
}

// common gives the columns that both have, without those that differ between equal accounts.
func common(a, b []map[string]string) []string {
	if len(a) == 0 || len(b) == 0 {
		for _, rs := range [][]map[string]string{a, b} {
			if len(rs) > 0 {
				return slices.DeleteFunc(slices.Sorted(maps.Keys(rs[0])), incidental)
			}
		}
		return nil
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(a[0])), func(c string) bool {
		_, ok := b[0][c]
		return !ok || incidental(c)
	})
}

func incidental(column string) bool {
	return column == "password_last_changed" || column == "timestamp" || column == "grantor"
}

// lines gives the table's rows by account, comparable.
func (t grantTable) lines(s *server, rs []map[string]string, columns []string) map[string]string {
	out := map[string][]string{}
	for _, r := range rs {
		user, host := r[t.user], r[t.host]
		if s.administrator(user, host) || user == "PUBLIC" {
			continue
		}
		var line strings.Builder
		for _, c := range columns {
			fmt.Fprintf(&line, "%s=%q ", c, essential(r[c]))
		}
		account := "'" + user + "'@'" + host + "'"
		out[account] = append(out[account], line.String())
	}
	joined := map[string]string{}
	for account, lines := range out {
		slices.Sort(lines)
		joined[account] = strings.Join(lines, "\n")
	}
	return joined
}

func (t grantTable) difference(p, s *server, want, have string) string {
	switch {
	case have == "" && t.name == grantTables[s.mariadb()][0].name:
		return "only on " + p.name()
	case want == "" && t.name == grantTables[s.mariadb()][0].name:
		return "only on " + s.name()
	default:
		return t.about + " differ"
	}
}

func union(a, b map[string]string) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
