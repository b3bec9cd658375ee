// Package wire is the client/server protocol of MySQL and MariaDB: the messages of the login, packet framing, and what
// a relay must know to follow the answers to commands.
package wire
