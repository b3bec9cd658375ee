package rejoin

import (
	"fmt"
	"strings"

	"github.com/onewriter/onewriter/internal/flavor"
)

// clonePlugin installs what CLONE needs, on both servers.
const clonePlugin = "INSTALL PLUGIN clone SONAME 'mysql_clone.so'"

// CloneGrants is the SQL that gives the control account what Rebuild needs on MySQL 8.0.17 and newer: BACKUP_ADMIN to
// be copied from, CLONE_ADMIN to be replaced, and the right to install the plugin where it is not.
func CloneGrants(controlUser string) []string {
	account := quote(controlUser) + "@'%'"
	return []string{
		"GRANT BACKUP_ADMIN, CLONE_ADMIN, SYSTEM_VARIABLES_ADMIN ON *.* TO " + account,
		"GRANT INSERT ON mysql.plugin TO " + account,
	}
}

// Commands lists what an operator runs to replace the data of old by those of primary, one shell or SQL line each, with
// comments. Passwords are left out. It asks no server.
func Commands(old, primary Server) []string {
	if old.Dialect.Kind() == flavor.KindMariaDB {
		return mariadbCommands(old, primary)
	}
	if old.Dialect.Kind() == flavor.KindMySQL80 || old.Dialect.Kind() == flavor.KindMySQL84 {
		return cloneCommands(old, primary)
	}
	return dumpCommands(old, primary)
}

func mariadbCommands(old, primary Server) []string {
	host, port := splitOr(primary)
	return []string{
		fmt.Sprintf("# On the host of %s, as root. The data directory is taken to be /var/lib/mysql.", old.Instance.Name),
		"systemctl stop mariadb",
		"mv /var/lib/mysql /var/lib/mysql.before-rebuild && install -d -o mysql -g mysql -m 750 /var/lib/mysql",
		fmt.Sprintf("ssh root@%s 'mariadb-backup --backup --port=%d --user=root --stream=mbstream' | mbstream -x -C /var/lib/mysql", host, port),
		"mariadb-backup --prepare --target-dir=/var/lib/mysql",
		"chown -R mysql:mysql /var/lib/mysql",
		"# read_only=1 and skip_slave_start must be in its configuration, so that it starts closed and alone.",
		"systemctl start mariadb",
		"# The third column of this file is the place in the history of " + primary.Instance.Name + " that the copy is at:",
		"cat /var/lib/mysql/mariadb_backup_binlog_info /var/lib/mysql/xtrabackup_binlog_info 2>/dev/null",
		"mariadb -e \"STOP ALL SLAVES; RESET MASTER; SET GLOBAL gtid_slave_pos = '<third column>'\"",
		"onewriter rejoin " + old.Instance.Name,
	}
}

func cloneCommands(old, primary Server) []string {
	host, port := splitOr(primary)
	out := []string{
		fmt.Sprintf("-- On %s, as an administrator; it replicates:", primary.Instance.Name),
	}
	for _, g := range CloneGrants(primary.ControlUser) {
		out = append(out, g+";")
	}
	return append(out,
		fmt.Sprintf("-- On %s and on %s, where the plugin is not installed yet:", primary.Instance.Name, old.Instance.Name),
		clonePlugin+";",
		fmt.Sprintf("-- On %s; all its data are replaced, and it restarts (or ends, and wants to be started):", old.Instance.Name),
		fmt.Sprintf("SET GLOBAL clone_valid_donor_list = '%s:%d';", host, port),
		fmt.Sprintf("CLONE INSTANCE FROM %s@%s:%d IDENTIFIED BY '<password>';", quote(primary.ControlUser), quote(host), port),
		"-- Or let Onewriter do all of that:",
		"onewriter rejoin "+old.Instance.Name+" --rebuild",
	)
}

func dumpCommands(old, primary Server) []string {
	host, port := splitOr(primary)
	return []string{
		fmt.Sprintf("# On the host of %s, with an account that may do everything:", old.Instance.Name),
		"mysql -e 'STOP SLAVE; RESET MASTER'",
		fmt.Sprintf("mysqldump -h %s -P %d --all-databases --single-transaction --master-data=1 --triggers --routines --events | mysql", host, port),
		"onewriter rejoin " + old.Instance.Name,
	}
}

// splitOr gives host and port, or the address as it is.
func splitOr(s Server) (string, int) {
	host, port, err := s.hostPort()
	if err != nil {
		return s.Instance.Address, 3306
	}
	return host, port
}

// quote makes a string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}
