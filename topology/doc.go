// Package topology is the immutable vocabulary that the data path and the control path share: which servers
// there are, what was seen of them, and who the primary is. Values of this package cross goroutines; nobody
// changes one after it has been handed on, a new one is published instead.
package topology
