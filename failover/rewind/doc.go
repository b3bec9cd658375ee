// Package rewind undoes the transactions that only one server has, from the row images in its own binary log, and
// makes its history forget them, so that the server can follow the primary again without being rebuilt.
//
// Plan says whether that is possible and what it would do; Undo does it: first a file that keeps what is undone as
// SQL, then all rows in one transaction that is not logged, together with a marker, then the history is replaced and
// the marker removed. When it is interrupted, Resume finds the marker and goes on. The server must be read-only, its
// replication stopped, and nobody may read its binary log.
package rewind
