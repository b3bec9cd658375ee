package guard

import (
	"bufio"
	"context"
	"database/sql/driver"
	"fmt"
	"net"

	"github.com/go-sql-driver/mysql"
)

// FaultError says that the driver failed on what a server has sent. The statement may have been carried out.
type FaultError struct {
	// Fault is what the driver panicked with.
	Fault any
}

// Error implements error.
func (e *FaultError) Error() string {
	return fmt.Sprintf("what the server has sent cannot be understood: %v", e.Fault)
}

// connector makes connections that are guarded. The driver (go-sql-driver 1.10.1) checks the lengths within a greeting, the
// definition of a column, an OK or an ERR packet not at all or in part, and panics where they lie.
type connector struct{ inner driver.Connector }

// NewConnector gives a connector for config, whose DialFunc is replaced: it is TCP, with config.Timeout. Faults of the driver
// are *FaultError.
func NewConnector(config *mysql.Config) (driver.Connector, error) {
	config.DialFunc = dial
	inner, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return connector{inner}, nil
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.inner.Driver() }

// Connect implements driver.Connector. After a fault the connection is closed; a goroutine of the
// driver stays.
func (c connector) Connect(ctx context.Context) (out driver.Conn, err error) {
	var under *link
	defer func() {
		if fault := recover(); fault != nil {
			if under != nil {
				_ = under.Close()
			}
			out, err = nil, &FaultError{fault}
		}
	}()
	made, err := c.inner.Connect(context.WithValue(ctx, linkKey{}, &under))
	if err != nil && under != nil {
		err = under.explain(err)
	}
	if err != nil {
		return nil, err
	}
	under.loggedIn.Store(true)
	return &conn{full: made.(full), link: under}, nil
}

// linkKey is that of the place in a context where dial leaves its connection.
type linkKey struct{}

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	tcp, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l := &link{TCPConn: tcp.(*net.TCPConn), in: bufio.NewReader(tcp)}
	if place, ok := ctx.Value(linkKey{}).(**link); ok {
		*place = l
	}
	return l, nil
}
