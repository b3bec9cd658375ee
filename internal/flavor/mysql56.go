package flavor

// oldMySQLWords are those of MySQL 5.6 to 8.0.25, and of MariaDB.
func oldMySQLWords() words {
	return words{
		showReplica: "SHOW SLAVE STATUS",
		showBinlog:  "SHOW MASTER STATUS",
		stop:        "STOP SLAVE", start: "START SLAVE", reset: "RESET SLAVE",
		change: "CHANGE MASTER TO", posWait: "MASTER_POS_WAIT", source: "MASTER",
		updates: "log_slave_updates",
	}
}
