// Package gtid holds replication positions of every kind (MySQL GTID sets, MariaDB GTID states, binary log file
// and offset) behind one value type that can be compared exactly.
//
// MariaDB histories are compared per domain and server, as @@gtid_binlog_state lists them. Sequence numbers per
// domain alone lie: 0-10-200 and 0-20-199 may belong to two servers that went apart at 0-10-198.
package gtid
