package binlog

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Source is a server whose binary log is read, and how.
type Source struct {
	// Address is host:port.
	Address string
	// User needs the right REPLICATION SLAVE.
	User, Password string
	// TLS encrypts the connection when it is not nil.
	TLS *tls.Config
	// Flavor is mysql or mariadb.
	Flavor string
	// ServerID is what we call ourselves; no replica of the server may have it, because the server ends an older dump
	// for the same id. Default 4294967000.
	ServerID uint32
}

const defaultServerID = 4294967000

// hostPort takes the address apart.
func (s Source) hostPort() (string, uint16, error) {
	host, text, err := net.SplitHostPort(s.Address)
	if err != nil {
		return "", 0, fmt.Errorf("address of the server: %w", err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port of the server: %w", err)
	}
	return host, uint16(port), nil
}

func (s Source) mariadb() bool { return s.Flavor == mysql.MariaDBFlavor }
