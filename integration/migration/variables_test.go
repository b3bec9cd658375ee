package migration

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/onewriter/onewriter/internal/mysqltest"
)

// choice is a session variable with values that can be assigned, as SQL source.
type choice struct {
	name   string
	values []string
}

// valuesOf has the variables whose values can't be guessed.
var valuesOf = map[string][]string{
	"sql_mode": {
		"''", "'ANSI_QUOTES'", "'ANSI'", "'NO_BACKSLASH_ESCAPES'", "'TRADITIONAL'", "'STRICT_TRANS_TABLES,PIPES_AS_CONCAT'",
		"'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "'NO_UNSIGNED_SUBTRACTION'", "CONCAT(@@sql_mode,',ANSI_QUOTES')", "ansi",
	},
	"time_zone":                {"'+02:00'", "'-11:30'", "'SYSTEM'", "'+00:00'"},
	"lc_time_names":            {"'de_DE'", "'en_US'", "fr_FR", "10"},
	"character_set_client":     {"utf8mb4", "latin1", "'gbk'", "sjis"},
	"character_set_results":    {"utf8mb4", "latin1", "NULL", "'binary'"},
	"character_set_connection": {"utf8mb4", "latin1", "binary", "cp1251"},
	"collation_connection":     {"utf8mb4_bin", "latin1_swedish_ci", "'utf8mb4_unicode_ci'", "latin1_bin"},
	"character_set_server":     {"latin1", "utf8mb4"},
	"collation_server":         {"latin1_bin", "utf8mb4_bin"},
	"transaction_isolation":    {"'READ-COMMITTED'", "'SERIALIZABLE'", "'REPEATABLE-READ'"},
	"tx_isolation":             {"'READ-COMMITTED'", "'SERIALIZABLE'", "2"},
	"completion_type":          {"1", "0", "'CHAIN'", "NO_CHAIN"},
	"optimizer_switch":         {"'index_merge=off'", "'mrr=on,mrr_cost_based=off'", "'default'"},
	"default_storage_engine":   {"MyISAM", "'InnoDB'", "MEMORY"},
	"div_precision_increment":  {"7", "4"},
	"sql_select_limit":         {"1000000", "18446744073709551615"},
	"max_sort_length":          {"2048"},
	"long_query_time":          {"3.5", "10", "0.000001"},
	"block_encryption_mode":    {"'aes-256-cbc'"},
	"default_regex_flags":      {"'DOTALL'", "'MULTILINE,DOTALL'"},
	"old_mode":                 {"'UTF8_IS_UTF8MB3,ZERO_DATE_TIME_CAST'", "''"},
	"lc_messages":              {"'en_US'"},
	"wait_timeout":             {"1000", "28800"},
	"interactive_timeout":      {"1000"},
	"net_read_timeout":         {"99"},
	"net_write_timeout":        {"99"},
	"max_statement_time":       {"1000", "100.5", "0"},
	"max_execution_time":       {"100000", "0"},
	"innodb_lock_wait_timeout": {"55"},
	"lock_wait_timeout":        {"77"},
	"max_join_size":            {"1000000000", "18446744073709551615"},
	"max_error_count":          {"100", "5"},
	"cte_max_recursion_depth":  {"1001"},
	"max_recursive_iterations": {"1001"},
	"transaction_read_only":    {"1", "OFF"},
	"tx_read_only":             {"1", "OFF"},
	"optimizer_trace":          {"'enabled=on'", "'enabled=off'"},
	"query_cache_type":         {"0", "'OFF'"},
	"resultset_metadata":       {"'NONE'", "'FULL'"},
	"system_versioning_asof":   {"'2030-01-01 00:00:00'", "DEFAULT"},
}

// untouched are variables that would make the sequences something else.
var untouched = map[string]bool{
	"autocommit": true, "timestamp": true, "insert_id": true, "last_insert_id": true, "identity": true, "rand_seed1": true, "rand_seed2": true,
	"debug": true, "debug_dbug": true, "debug_sync": true, "pseudo_thread_id": true, "sql_log_bin": true,
	"gtid_next": true, "gtid_seq_no": true, "gtid_domain_id": true, "server_id": true, "skip_replication": true, "default_master_connection": true,
	"proxy_user": true, "max_user_connections": true,
	"sql_buffer_result": true, // which shows in the metadata of what was prepared before
	"rbr_exec_mode":     true, "max_session_mem_used": true, "thread_stack": true,
	"session_track_gtids": true, "session_track_schema": true, "session_track_state_change": true, "session_track_system_variables": true,
	"session_track_transaction_info": true, "session_track_user_variables": true, "require_row_format": true,
	"connection_memory_limit": true, "wsrep_on": true, "max_relay_log_size": true, "sql_slave_skip_counter": true, "gtid_pos_auto_engines": true,
	"server_uid": true,
}

// discover finds the session variables that the application may set, each with values that the server takes.
func (p *place) discover() ([]choice, error) {
	peer, err := dial(p.servers[2].Addr(), "app", mysqltest.AppPassword, "app", ordinary, 45)
	if err != nil {
		return nil, err
	}
	defer peer.close()
	all, err := variablesOf(peer)
	if err != nil {
		return nil, err
	}
	p.other, err = p.ofServers(all)
	if err != nil {
		return nil, err
	}
	var list []choice
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if untouched[name] || strings.HasPrefix(name, "wsrep_") || strings.HasPrefix(name, "debug_") || strings.HasPrefix(name, "pseudo_") || strings.HasPrefix(name, "replicate_") {
			continue
		}
		c := choice{name: name}
		for _, v := range candidates(name, all[name]) {
			text, err := peer.do(query("SET SESSION %s=%s", name, v))
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(text, "OK") {
				c.values = append(c.values, v)
			}
			if _, err := peer.do(step{kind: kindReset}); err != nil {
				return nil, err
			}
		}
		if len(c.values) > 0 {
			list = append(list, c)
		}
	}
	if len(list) < 60 {
		return nil, fmt.Errorf("of %d variables only %d can be set", len(all), len(list))
	}
	return list, nil
}

func candidates(name, now string) []string {
	if v := valuesOf[name]; v != nil {
		return v
	}
	switch now {
	case "ON", "OFF":
		return []string{"ON", "OFF", "1", "0"}
	}
	if n, err := strconv.ParseInt(now, 10, 64); err == nil {
		return []string{fmt.Sprint(n*2 + 1024), fmt.Sprint(n + 1), fmt.Sprint(n/2 + 1)}
	}
	return nil
}

func (p *place) choiceOf(name string) choice {
	for _, c := range p.variables {
		if c.name == name {
			return c
		}
	}
	return choice{name: name, values: []string{"DEFAULT"}}
}

// ofServers gives the variables that fresh sessions on two servers do not have in common.
func (p *place) ofServers(third map[string]string) (map[string]bool, error) {
	other := map[string]bool{}
	for _, s := range p.servers[:2] {
		peer, err := dial(s.Addr(), "app", mysqltest.AppPassword, "app", ordinary, 45)
		if err != nil {
			return nil, err
		}
		all, err := variablesOf(peer)
		peer.close()
		if err != nil {
			return nil, err
		}
		for name, v := range all {
			if third[name] != v {
				other[name] = true
			}
		}
	}
	return other, nil
}
