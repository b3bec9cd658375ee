// Package sockopt sets the options of TCP sockets that decide when a peer that vanished is given up.
package sockopt
