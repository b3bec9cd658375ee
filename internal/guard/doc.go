// Package guard keeps broken and hostile servers from ending the program through the database driver: what the driver
// cannot cope with is an error, and the connection is thrown away.
package guard
