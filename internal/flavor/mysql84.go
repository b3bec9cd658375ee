package flavor

// newMySQLWords are those of MySQL 8.2 and newer; 8.4 and 9 know no others.
func newMySQLWords() words {
	return words{
		showReplica: "SHOW REPLICA STATUS",
		showBinlog:  "SHOW BINARY LOG STATUS",
		stop:        "STOP REPLICA", start: "START REPLICA", reset: "RESET REPLICA",
		change: "CHANGE REPLICATION SOURCE TO", posWait: "SOURCE_POS_WAIT", source: "SOURCE",
		updates: "log_replica_updates",
	}
}

// mysqlWords chooses by version. From 8.0.26 on the new words are there, but for SHOW BINARY LOG STATUS (8.2).
func mysqlWords(v release) words {
	switch {
	case v.atLeast(8, 2, 0):
		return newMySQLWords()
	case v.atLeast(8, 0, 26):
		w := newMySQLWords()
		w.showBinlog = oldMySQLWords().showBinlog
		return w
	default:
		return oldMySQLWords()
	}
}
