package mysqltest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// onlyVariable names the one flavour that is to be tested, as Flavor.String does; servers of the other count as not
// installed, and RequireFlavor skips in any case.
const onlyVariable = "ONEWRITER_ONLY"

var errUnwanted = errors.New("only the other flavour is to be tested (" + onlyVariable + ")")

func wanted(f Flavor) bool {
	only := os.Getenv(onlyVariable)
	return only == "" || only == f.String()
}

// release is the number of a version.
type release struct{ major, minor, patch int }

func releaseOf(version string) (r release) {
	_, _ = fmt.Sscanf(version, "%d.%d.%d", &r.major, &r.minor, &r.patch)
	return r
}

func (r release) atLeast(major, minor int) bool { return r.atLeastPatch(major, minor, 0) }

func (r release) atLeastPatch(major, minor, patch int) bool {
	if r.major != major {
		return r.major > major
	}
	return r.minor > minor || r.minor == minor && r.patch >= patch
}

// Release is the major and minor number of the servers of flavour f that are started here; 0 when there are none. It runs the
// server program.
func Release(f Flavor) (major, minor int) {
	in, err := find(f)
	if err != nil {
		return 0, 0
	}
	return in.release.major, in.release.minor
}

// AtLeast reports whether the server's version is major.minor or newer.
func (s *Server) AtLeast(major, minor int) bool { return s.in.release.atLeast(major, minor) }

// Usual reports whether the version is one that CI runs against (MariaDB 10.11 and newer, MySQL 8.4 and newer): there nothing of what is
// tested may be missing.
func (s *Server) Usual() bool {
	if s.Flavor == MySQL {
		return s.AtLeast(8, 4)
	}
	return s.AtLeast(10, 11)
}

// superReadOnly reports whether privileged accounts can be kept from writing.
func (in installation) superReadOnly() bool { return in.flavor == MySQL && in.release.atLeast(5, 7) }

// replicaWords reports whether MySQL knows REPLICA and SOURCE (8.0.26; what is used here is older than 8.0.23 or newer).
func (in installation) replicaWords() bool {
	return in.flavor == MySQL && in.release.atLeastPatch(8, 0, 26)
}

func (in installation) binlogStatus() string {
	if in.flavor == MySQL && in.release.atLeast(8, 2) {
		return "SHOW BINARY LOG STATUS"
	}
	return "SHOW MASTER STATUS"
}

// SemiSync reports why servers of flavour f have no semi-synchronous replication here, nil if they have.
func SemiSync(f Flavor) error {
	in, err := find(f)
	if err == nil && f == MySQL && !in.hasPlugin("semisync_source") && !in.hasPlugin("semisync_master") {
		err = fmt.Errorf("MySQL %s was installed without the plugins of semi-synchronous replication", in.version)
	}
	return err
}

// semiSyncWords are MySQL's names of the two sides.
func (p *Pair) semiSyncWords() (source, replica string) {
	in, err := find(p.opts.Flavor)
	if err == nil && !in.replicaWords() {
		return "master", "slave"
	}
	return "source", "replica"
}

// mysqlSettings are those that are called differently in other versions, or are not there.
func (in installation) mysqlSettings(m map[string]string, workers int) {
	word := "slave"
	if in.replicaWords() {
		word = "replica"
	}
	m["log-"+word+"-updates"], m[word+"-net-timeout"], m[word+"-parallel-workers"] = "1", "3", strconv.Itoa(workers)
	m["loose-mysqlx"] = "OFF"
	if in.release.atLeastPatch(8, 0, 30) {
		m["innodb-redo-log-capacity"] = "32M"
	} else {
		m["innodb-log-file-size"] = "32M"
	}
	if in.release.atLeast(5, 7) {
		m["secure-file-priv"] = "NULL"
	}
	if !in.release.atLeast(8, 0) { // what newer ones do anyway
		m["master-info-repository"], m["relay-log-info-repository"] = "TABLE", "TABLE"
	}
	if !in.release.atLeast(5, 7) {
		m["slave-parallel-workers"] = "0" // its workers go by schemas, and lose a place of GTID after a crash
	}
}

// rootAccount opens root's account for TCP from this machine.
func (in installation) rootAccount(host string) []string {
	account := "'root'@'" + host + "'"
	if in.flavor == MySQL && !in.release.atLeast(5, 7) {
		return []string{"GRANT ALL ON *.* TO " + account + " IDENTIFIED BY '" + RootPassword + "' WITH GRANT OPTION"}
	}
	return []string{
		"CREATE USER IF NOT EXISTS " + account, // MariaDB has it from the start, without password
		"ALTER USER " + account + " IDENTIFIED BY '" + RootPassword + "'",
		"GRANT ALL ON *.* TO " + account + " WITH GRANT OPTION",
	}
}

// bootstrap is the command that makes the system tables of a server that cannot do it itself, from the scripts that come with
// it: what its shell script for that does.
func (in installation) bootstrap(ctx context.Context, dir string) (*exec.Cmd, error) {
	if err := os.MkdirAll(filepath.Join(dir, "mysql"), 0o700); err != nil {
		return nil, err
	}
	var sql strings.Builder
	sql.WriteString("USE mysql;\nSET @auth_root_socket=NULL;\n")
	scripts := []string{"system_tables.sql", "performance_tables.sql", "system_tables_data.sql", "fill_help_tables.sql", "maria_add_gis_sp_bootstrap.sql", "sys_schema.sql"}
	for i, name := range scripts {
		path, err := firstFile(in.share(), "mariadb_"+name, "mysql_"+name, name)
		if err != nil && i == 0 {
			return nil, err
		}
		if err != nil {
			continue // not in every version
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "@current_hostname") { // accounts of a machine's name
				sql.WriteString(line)
			}
		}
	}
	sql.WriteString("DELETE FROM mysql.user WHERE user = '';\n") // in one line, or MariaDB's reader takes it for the end of a routine
	args := append(append([]string{}, in.command[1:]...), "--no-defaults", "--bootstrap", "--datadir="+dir, "--log-warnings=0",
		"--max-allowed-packet=8M", "--net-buffer-length=16K", "--loose-enforce-storage-engine=", "--innodb-log-file-size=16M")
	cmd := exec.CommandContext(ctx, in.command[0], append(append(args, in.settings...), asUser()...)...)
	cmd.Stdin = strings.NewReader(sql.String())
	return cmd, nil
}

// ControlGrants is the SQL that gives account the rights of a control account, with those that only rejoin and the doctor
// need, on the version of flavour f that is started here.
func ControlGrants(f Flavor, account string) []string {
	in, err := find(f)
	global := "PROCESS, RELOAD, READ_ONLY ADMIN, CONNECTION ADMIN, SLAVE MONITOR, BINLOG MONITOR, BINLOG ADMIN, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, REPLICATION SLAVE"
	switch {
	case err == nil && (f == MySQL && !in.release.atLeast(8, 0) || f == MariaDB && !in.release.atLeast(10, 5)):
		global = "PROCESS, RELOAD, SUPER, REPLICATION CLIENT, REPLICATION SLAVE"
	case f == MySQL:
		global = "PROCESS, RELOAD, REPLICATION CLIENT, REPLICATION SLAVE, CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN, REPLICATION_SLAVE_ADMIN, XA_RECOVER_ADMIN, BACKUP_ADMIN, CLONE_ADMIN"
	}
	out := []string{
		"GRANT " + global + " ON *.* TO " + account,
		"GRANT SELECT, INSERT, UPDATE, DELETE, EVENT, TRIGGER ON *.* TO " + account,
		"GRANT SELECT ON mysql.* TO " + account,
		"GRANT ALL ON onewriter.* TO " + account,
	}
	if f == MySQL {
		out = append(out, "GRANT SELECT ON performance_schema.* TO "+account)
	}
	return out
}
