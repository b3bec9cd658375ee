// Package clients has black-box tests with the clients, drivers and tools of others. Each does the same at a server directly
// and through onewriter, and must see the same.
package clients
