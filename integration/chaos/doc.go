// Package chaos runs the built program on real servers while a seeded schedule of faults goes on, records what every
// client was told, what every server said of itself and what the proxy published, and judges the record.
//
// The record is a History; Check is pure and says which of the invariants I1 to I13 it breaks. check_test.go feeds it
// broken histories. Run it for longer with `make chaos SEED=1 MINUTES=60 FLAVOR=mysql`.
package chaos
