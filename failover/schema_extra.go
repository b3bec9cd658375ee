package failover

import "strings"

// ExtraRights are rights of the control account that only one ability needs.
type ExtraRights struct {
	For string   // what they are for, in words
	SQL []string // run on the primary as an administrator
}

// ExtraSQL lists the rights that SetupSQL leaves out because not everybody wants to give them. flavorName is "mariadb" or
// "mysql".
func ExtraSQL(flavorName, controlUser string) []ExtraRights {
	account := "'" + strings.ReplaceAll(controlUser, "'", "''") + "'@'%'"
	out := []ExtraRights{
		{"the doctor's look at the names of tables and events in all schemas", []string{"GRANT SHOW VIEW, EVENT ON *.* TO " + account}},
		{"`onewriter rejoin --rewind`: undoing transactions in any schema", []string{"GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO " + account}},
	}
	older := "MariaDB 10.4 and older, which have SUPER"
	if flavorName == "mysql" {
		older = "MySQL 5.7 and older, which have SUPER"
	}
	out = append(out, ExtraRights{older + " in place of the rights above on *.*", []string{
		"GRANT SUPER, PROCESS, RELOAD, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO " + account,
	}})
	if flavorName == "mysql" {
		out = append(out, ExtraRights{"`onewriter rejoin --rebuild`: copying all data by CLONE", []string{
			"GRANT BACKUP_ADMIN, CLONE_ADMIN ON *.* TO " + account, "GRANT INSERT ON mysql.plugin TO " + account,
		}})
	}
	return out
}
