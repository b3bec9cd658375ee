// Package api holds the JSON documents of the admin HTTP API, shared by the server and its clients. Field names are
// a contract with scripts: they are never renamed or given another meaning.
package api
