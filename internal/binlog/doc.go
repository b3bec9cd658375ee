// Package binlog reads transactions out of a server's binary log over the network, as a replica would.
package binlog
