// Package coord is the contract for the right to act on a cluster: who the decider is (Lease) and what a decider
// must never forget (Store). Implementations live in the packages below it; coord/local is for one proxy alone.
package coord
