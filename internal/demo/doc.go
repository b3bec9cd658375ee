// Package demo shows the product on the user's own machine: it starts a real pair of database servers, runs this
// program before them, puts load on it, moves the primary role while the load runs, and counts what the clients and
// the servers have seen of that.
package demo
