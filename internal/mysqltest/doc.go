// Package mysqltest starts real MariaDB and MySQL servers, alone or as replicating clusters, in temporary directories
// on free loopback ports, in seconds. It is for tests and for the demo; it needs no root and no configuration files.
//
// Initialised data directories are kept in a cache and copied, every process is ended with the process that started
// it, and Close removes all files. scripts/install-test-deps installs the servers.
package mysqltest
