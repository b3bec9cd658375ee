// Package gtid holds replication positions of every kind (MySQL GTID sets, MariaDB GTID states, binary log file
// and offset) behind one value type that can be compared exactly.
package gtid
