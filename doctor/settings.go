package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// driftLimit is how far clocks may differ.
const driftLimit = 500 * time.Millisecond

// clocks compares each server's clock with ours.
func clocks(_ context.Context, x *examination, s *server) error {
	if s.drift.Abs()-s.doubt <= driftLimit {
		return nil
	}
	ahead := "ahead of"
	if s.drift < 0 {
		ahead = "behind"
	}
	x.find("CLOCK_DRIFT", s.name(), "Its clock is wrong, or that of the machine that Onewriter runs on (then all servers have this finding). Rows get wrong times after a failover, and the reported loss is wrong by as much.",
		[]string{fmt.Sprintf("it is %s %s ours, give or take %s", s.drift.Abs().Round(time.Millisecond), ahead, s.doubt.Round(100*time.Microsecond))},
		"run NTP (chrony, systemd-timesyncd) on every machine")
	return nil
}

// sameSettings are variables that applications notice when they find themselves on another server.
var sameSettings = []string{
	"sql_mode", "character_set_server", "collation_server", "time_zone", "system_time_zone", "max_allowed_packet",
	"default_storage_engine", "transaction_isolation", "tx_isolation", "group_concat_max_len", "explicit_defaults_for_timestamp",
	"max_connections", "wait_timeout", "local_infile", "innodb_strict_mode", "init_connect", "event_scheduler",
}

// settings compares every server with the primary.
func settings(_ context.Context, x *examination) error {
	p, err := x.thePrimary()
	if err != nil {
		return err
	}
	for _, s := range x.examined() {
		if s == p {
			continue
		}
		if s.facts.Version != p.facts.Version {
			x.find("VERSION_DIFFERS", s.name(), fmt.Sprintf("It has another version than the primary %s. Replication from a newer to an older server is not supported, so after a failover the way back may be closed. Bring them to the same version.", p.name()),
				[]string{p.name() + " is " + p.facts.Version, s.name() + " is " + s.facts.Version})
		}
		x.compareSettings(p, s)
		const name = "lower_case_table_names"
		if s.v(name) != p.v(name) {
			x.find("TABLE_NAMES_CASE", s.name(), fmt.Sprintf("It treats the case of table names otherwise than the primary %s. Tables are not found after a failover, or replication stops.", p.name()),
				[]string{fmt.Sprintf("%s is %s on %s and %s on %s", name, p.v(name), p.name(), s.v(name), s.name())},
				"rebuild it with "+name+" = "+p.v(name)+" (MySQL sets it when the data directory is made)")
		}
	}
	return nil
}

func (x *examination) compareSettings(p, s *server) {
	var evidence, fix []string
	for _, name := range sameSettings {
		want, has := p.vars[name]
		have, too := s.vars[name]
		if has && too && want != have {
			evidence = append(evidence, fmt.Sprintf("%s is %q on %s and %q on %s", name, want, p.name(), have, s.name()))
			if name != "system_time_zone" {
				fix = append(fix, "SET GLOBAL "+name+" = "+literal(want), "my.cnf: "+name+" = "+want)
			}
		}
	}
	if len(evidence) > 0 {
		x.find("SETTINGS_DIFFER", s.name(), fmt.Sprintf("Settings that applications notice are not those of the primary %s. Statements may fail or mean something else after a failover.", p.name()),
			evidence, fix...)
	}
}

func literal(value string) string {
	if _, err := strconv.ParseInt(value, 10, 64); err == nil {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}

// autoIncrement looks whether two servers would give out the same values.
func autoIncrement(_ context.Context, x *examination) error {
	servers := x.examined()
	if len(servers) < 2 {
		return nil
	}
	var evidence, fix []string
	slots := map[int]bool{}
	clash := false
	for i, s := range servers {
		step, err1 := strconv.Atoi(s.v("auto_increment_increment"))
		offset, err2 := strconv.Atoi(s.v("auto_increment_offset"))
		if err1 != nil || err2 != nil || step < 1 {
			return fmt.Errorf("%s tells no auto_increment_increment and auto_increment_offset", s.name())
		}
		clash = clash || step < len(servers) || slots[offset%step]
		slots[offset%step] = true
		evidence = append(evidence, fmt.Sprintf("%s: auto_increment_increment %d, auto_increment_offset %d", s.name(), step, offset))
		values := fmt.Sprintf("auto_increment_increment = %d, auto_increment_offset = %d", len(servers), i+1)
		fix = append(fix, fmt.Sprintf("on %s: SET GLOBAL %s; my.cnf too", s.name(), strings.Replace(values, ", ", ", GLOBAL ", 1)))
	}
	if clash {
		x.find("AUTO_INCREMENT", "", "The servers would give out the same auto_increment values. If both are ever written to at once, rows get equal keys and cannot be put together again. Different offsets are a second net; they do not make writing to both safe.",
			evidence, fix...)
	}
	return nil
}
