// Package rejoin decides whether a server that was left behind may come back, and brings it back: never before it is
// proved that it has nothing which the primary lacks.
package rejoin
