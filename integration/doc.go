// Package integration tests the built program from outside, with real servers and real clients.
package integration
