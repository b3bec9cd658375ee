//go:build !unix

package backend

import "net"

// alive can't tell on this system.
func alive(net.Conn) bool { return true }
