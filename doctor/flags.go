package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/onewriter/onewriter/internal/flavor"
)

// writable looks at who accepts writes now.
func writable(_ context.Context, x *examination, s *server) error {
	f := s.facts
	evidence := []string{"read_only is " + s.v("read_only")}
	if v := s.v("super_read_only"); v != "" {
		evidence = append(evidence, "super_read_only is "+v)
	}
	if f.SuperReadOnly && !f.ReadOnly {
		x.find("FENCE_PENDING", s.name(), "super_read_only is set and read_only is not: a statement that closes the server waits for a running write or a table lock, and every new write waits behind it. If it stays, find out who waits for whom.",
			evidence, "SHOW FULL PROCESSLIST", "KILL <the session that blocks>")
	}
	switch {
	case x.primary == "":
		return errNoPrimary
	case x.isStandby(s) && f.Writable():
		x.find("STANDBY_WRITABLE", s.name(), "It is a standby and accepts writes of applications. Whatever is written there by mistake makes the histories go apart.",
			evidence, "SET GLOBAL "+s.closing()+" = 1", "my.cnf: read_only = 1")
	case x.isPrimary(s) && !f.Writable():
		x.find("PRIMARY_READ_ONLY", s.name(), "It is the primary and closed for writes: applications get error 1290. Onewriter opens a primary itself; if it does not, onewriter status says why. To open it by hand, first make sure that no other server is writable.",
			evidence, "onewriter status")
	}
	return nil
}

// closing is the variable that closes the server for everybody it can be closed for.
func (s *server) closing() string { return s.variable("super_read_only", "read_only") }

// start is how a server would come up.
type start struct {
	boot        time.Time
	connections int64
	readOnly    bool
}

// startsClosed looks at how the server would come up after a crash.
func startsClosed(ctx context.Context, x *examination, s *server) error {
	readOnly, known, evidence, err := s.startsReadOnly(ctx)
	if err != nil {
		return err
	}
	readOnly, known, err = x.recall(ctx, s, readOnly, known)
	switch {
	case err != nil:
		return err
	case known && readOnly:
	case known:
		x.find("START_WRITABLE", s.name(), "It would start writable. If it crashes while it is the primary and another server takes over, it comes back as a second primary for everything that does not go through Onewriter, until Onewriter closes it. "+x.d.startConsequence(),
			[]string{evidence}, s.startFix()...)
	default:
		x.find("START_UNKNOWN", s.name(), "read_only was set at run time, and the server does not tell how it would start. Make sure that its configuration has read_only=1: it must not come back from a crash writable.",
			[]string{evidence}, s.startFix()...)
	}
	return nil
}

func (d *Doctor) startConsequence() string {
	if d.cfg.Automatic {
		return "Onewriter opens the primary by itself; until this is so on every server there is no automatic failover, unless doctor.ignore has START_WRITABLE."
	}
	return "Onewriter opens the primary by itself."
}

func (s *server) startFix() []string {
	if s.mariadb() || s.dialect.Kind() < flavor.KindMySQL80 {
		return []string{"my.cnf, section [mysqld]: read_only = 1"}
	}
	return []string{"SET PERSIST_ONLY read_only = ON", "SET PERSIST_ONLY super_read_only = ON"}
}

// startsReadOnly reads where the present value of read_only comes from.
func (s *server) startsReadOnly(ctx context.Context) (readOnly, known bool, evidence string, err error) {
	if !s.mariadb() {
		return s.mysqlStart(ctx)
	}
	rs, err := s.rows(ctx, "SELECT global_value AS v, global_value_origin AS origin FROM information_schema.system_variables WHERE variable_name = 'READ_ONLY'")
	if err != nil || len(rs) == 0 {
		return false, false, "", orMissing(err, "information_schema.system_variables does not have read_only")
	}
	origin := rs[0]["origin"]
	return on(rs[0]["v"]), origin != "SQL", fmt.Sprintf("read_only is %s, set by: %s", rs[0]["v"], origin), nil
}

// mysqlStart looks at persisted variables first: they win over the configuration file.
func (s *server) mysqlStart(ctx context.Context) (readOnly, known bool, evidence string, err error) {
	if s.dialect.Kind() < flavor.KindMySQL80 {
		return false, false, "this version of MySQL does not tell where the value of read_only comes from", nil
	}
	rs, err := s.rows(ctx, `SELECT 'persisted' AS origin, variable_name AS name, variable_value AS v FROM performance_schema.persisted_variables
WHERE variable_name IN ('read_only', 'super_read_only')
UNION ALL SELECT i.variable_source, i.variable_name, g.variable_value FROM performance_schema.variables_info i
JOIN performance_schema.global_variables g USING (variable_name) WHERE variable_name IN ('read_only', 'super_read_only')`)
	if err != nil {
		return false, false, "", fmt.Errorf("read where read_only comes from: %w", err)
	}
	var told []string
	origins := map[string]string{}
	values := map[string]bool{}
	for _, r := range rs {
		told = append(told, fmt.Sprintf("%s is %s (%s)", r["name"], r["v"], strings.ToLower(r["origin"])))
		if r["origin"] == "persisted" {
			known, readOnly = true, readOnly || on(r["v"])
		} else {
			origins[r["name"]], values[r["name"]] = r["origin"], on(r["v"])
		}
	}
	if !known {
		readOnly, known = judgeStart(origins, values)
	}
	return readOnly, known, strings.Join(told, ", "), nil
}

// judgeStart tells from the origins and values of read_only and super_read_only how MySQL would start. Setting
// super_read_only sets read_only as well, and clearing read_only clears super_read_only, without a trace in the other's
// origin.
func judgeStart(origins map[string]string, values map[string]bool) (readOnly, known bool) {
	const plain, super = "read_only", "super_read_only"
	written := func(name string) bool { return origins[name] != "COMPILED" && origins[name] != "DYNAMIC" }
	superSet := origins[super] == "DYNAMIC"
	switch {
	case written(super) && values[super], written(plain) && values[plain] && !superSet:
		return true, true
	case origins[plain] == "COMPILED" && !written(super):
		return false, !superSet // super_read_only that was set at run time may have been written, too
	case origins[plain] == "DYNAMIC" || superSet:
		return false, false
	default:
		return false, true
	}
}

// recall fills in what was known of the same run of the server before somebody set read_only.
func (x *examination) recall(ctx context.Context, s *server, readOnly, known bool) (bool, bool, error) {
	now, err := s.run(ctx, x.at)
	if err != nil {
		return false, false, err
	}
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	if known {
		now.readOnly = readOnly
		x.d.starts[s.name()] = now
		return readOnly, true, nil
	}
	before, ok := x.d.starts[s.name()]
	return before.readOnly, ok && before.sameRun(now), nil
}

// run tells one run of the server from another.
func (s *server) run(ctx context.Context, at time.Time) (start, error) {
	rs, err := s.rows(ctx, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Connections')")
	if err != nil {
		return start{}, fmt.Errorf("read the uptime: %w", err)
	}
	status := map[string]int64{}
	for _, r := range rs {
		if status[r["variable_name"]], err = strconv.ParseInt(r["value"], 10, 64); err != nil {
			return start{}, fmt.Errorf("read the status %s: %w", r["variable_name"], err)
		}
	}
	return start{boot: at.Add(-time.Duration(status["Uptime"]) * time.Second), connections: status["Connections"]}, nil
}

// sameRun: Uptime counts whole seconds, and Connections only grows while the server runs.
func (a start) sameRun(b start) bool {
	return a.boot.Sub(b.boot).Abs() < 1500*time.Millisecond && b.connections >= a.connections
}

// on reads a switch as servers print it.
func on(value string) bool {
	switch strings.ToUpper(value) {
	case "", "0", "OFF", "NO", "FALSE", "NONE":
		return false
	default:
		return true
	}
}

// orMissing gives err, or an error with the text when there is none.
func orMissing(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}
