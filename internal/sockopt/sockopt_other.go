//go:build !linux

package sockopt

import (
	"net"
	"time"
)

// setUserTimeout can't be done on this system.
func setUserTimeout(*net.TCPConn, time.Duration) {}
