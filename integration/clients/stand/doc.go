// Package stand starts a pair of real servers with onewriter in front of them, for programs that talk to both: the client
// matrix and other people's test suites.
package stand
