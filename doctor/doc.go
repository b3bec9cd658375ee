// Package doctor checks servers and their replication for what would make a failover unsafe or slow. Each check has a
// stable code, a severity, evidence and, where there is one, the SQL that fixes it.
//
// An examination asks every server once, over one connection each, and then judges what it got. What could not be asked
// is reported as not checked and never as a finding. Nothing is written, but for the row of the self-test.
package doctor
