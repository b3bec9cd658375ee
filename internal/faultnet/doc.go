// Package faultnet is a TCP relay whose links can be cut, rejected, stalled and slowed, for tests.
package faultnet
