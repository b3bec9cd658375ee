// Package faultnet is a TCP relay for tests whose links can be cut, rejected, stalled, slowed and fragmented, like the
// network between two machines. It needs no root.
//
// A link imitates what its target does: while nothing listens there, connections to the link are refused, and a
// connection that the target resets is reset at the other end too.
package faultnet
