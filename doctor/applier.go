package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// filterNames are the columns and variables with what a replica leaves out.
var filterNames = []string{
	"replicate_do_db", "replicate_ignore_db", "replicate_do_table", "replicate_ignore_table", "replicate_wild_do_table",
	"replicate_wild_ignore_table", "replicate_rewrite_db", "replicate_ignore_server_ids", "replicate_do_domain_ids",
	"replicate_ignore_domain_ids",
}

// filters looks for what a server leaves out of what it replicates, or would.
func filters(ctx context.Context, x *examination, s *server) error {
	var evidence []string
	add := func(r map[string]string) {
		for _, name := range filterNames {
			if v := strings.TrimSpace(r[name]); v != "" {
				evidence = append(evidence, name+" is "+v)
			}
		}
	}
	for _, r := range s.status {
		add(r)
	}
	if len(evidence) == 0 {
		add(s.vars)
	}
	if _, tells := s.vars["replica_parallel_workers"]; len(evidence) == 0 && !s.mariadb() && tells {
		rs, err := s.rows(ctx, "SELECT filter_name AS name, filter_rule AS rule FROM performance_schema.replication_applier_global_filters WHERE filter_rule <> ''")
		if err != nil {
			return fmt.Errorf("read the filters: %w", err)
		}
		for _, r := range rs {
			evidence = append(evidence, strings.ToLower(r["name"])+" is "+r["rule"])
		}
	}
	if len(evidence) > 0 {
		x.find("REPLICATION_FILTER", s.name(), "It leaves something out of what it replicates. When it becomes the primary that is missing; and a filter by schema depends on the default schema of the session that wrote, not on the table.",
			evidence, "remove the filter (my.cnf, or CHANGE REPLICATION FILTER / SET GLOBAL while the applier is stopped)", "rebuild the server: it lacks what was filtered")
	}
	return nil
}

// tolerance looks for settings that hide differences of data.
func tolerance(_ context.Context, x *examination, s *server) error {
	mode := s.variable("replica_exec_mode", "slave_exec_mode")
	if v := s.v(mode); strings.EqualFold(v, "IDEMPOTENT") {
		x.find("APPLIER_IDEMPOTENT", s.name(), "Its applier goes on when a row to change is missing or a row to insert is there already. That hides that its data differ from the primary's.",
			[]string{mode + " is " + v}, "SET GLOBAL "+mode+" = 'STRICT'", "remove it from my.cnf", "compare the data with the primary's")
	}
	skip := s.variable("replica_skip_errors", "slave_skip_errors")
	if v := s.v(skip); v != "" && v != "OFF" {
		x.find("ERRORS_SKIPPED", s.name(), "Its applier skips errors. That hides that its data differ from the primary's.",
			[]string{skip + " is " + v}, "remove "+skip+" from my.cnf", "restart the server", "compare the data with the primary's")
	}
	return nil
}

// appliers looks at how many threads apply.
func appliers(_ context.Context, x *examination, s *server) error {
	name := s.variable("replica_parallel_workers", "slave_parallel_workers", "slave_parallel_threads")
	if s.mariadb() {
		name = "slave_parallel_threads"
	}
	n, err := strconv.Atoi(s.v(name))
	if err != nil {
		return nil //nolint:nilerr // a version without parallel appliers
	}
	if n > 1 || len(s.facts.Links) == 0 {
		return nil
	}
	x.find("APPLIER_SERIAL", s.name(), "It applies with one thread. Under load it falls behind, and what it is behind is the pause of a switchover and the time that a failover takes.",
		[]string{fmt.Sprintf("%s is %d", name, n)}, "while the applier is stopped: SET GLOBAL "+name+" = 4", "my.cnf: "+name+" = 4")
	return nil
}

// relayLog looks at what happens to received transactions in a crash.
func relayLog(_ context.Context, x *examination, s *server) error {
	if len(s.facts.Links) == 0 {
		return nil
	}
	byFile := false
	for _, l := range s.facts.Links {
		byFile = byFile || !l.UsesGTID
	}
	if !on(s.v("relay_log_recovery")) && (byFile || !s.mariadb()) {
		x.find("RELAY_LOG_RECOVERY", s.name(), "After a crash it goes on with a relay log that may be damaged, or with a place in it that is wrong, and stops with an error or applies a transaction twice.",
			[]string{"relay_log_recovery is " + s.v("relay_log_recovery")}, "my.cnf: relay_log_recovery = 1", "restart the server")
	}
	if name := s.v("relay_log"); name == "" || strings.HasPrefix(name, s.v("hostname")+"-relay") {
		x.find("RELAY_LOG_NAME", s.name(), "The name of its relay log is made of the host's name. When the host gets another name, or the data are restored on another host, replication does not find its relay log and stops.",
			[]string{fmt.Sprintf("relay_log is %q", name)}, "my.cnf: relay_log = relay", "restart the server when it is not behind")
	}
	return nil
}
