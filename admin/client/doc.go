// Package client calls the admin HTTP API. The command line is built on it, and Go programs can be.
package client
