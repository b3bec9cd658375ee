// Package doctor checks servers and their replication for what would make a failover unsafe or slow. Each check has a
// stable code, a severity, evidence and, where there is one, the SQL that fixes it.
package doctor
