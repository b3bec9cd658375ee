package integration

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/onewriter/onewriter/internal/mysqltest"
	"github.com/onewriter/onewriter/internal/wire"
)

// TestNoDescriptorLeft takes file descriptors away from the running program: clients are told, and served again later.
func TestNoDescriptorLeft(t *testing.T) {
	_, o := startPair(t, mysqltest.PairOptions{Flavor: mysqltest.MariaDB, Fast: true}, "")
	limit := func(n uint64) {
		t.Helper()
		var now unix.Rlimit
		if err := unix.Prlimit(o.process.PID, unix.RLIMIT_NOFILE, nil, &now); err != nil {
			t.Fatal(err)
		}
		now.Cur = min(n, now.Max)
		if err := unix.Prlimit(o.process.PID, unix.RLIMIT_NOFILE, &now, nil); err != nil {
			t.Fatal(err)
		}
	}
	// Clients that do not log in use up what there is: a server connection for the first of them, then their own alone.
	limit(uint64(o.metric("process_open_fds")) + 80)
	refused := 0
	for range 120 {
		err := o.knock(func(c net.Conn) error {
			pc := wire.NewPacketConn(c)
			payload, err := pc.ReadPacket()
			if err != nil {
				return err
			}
			if _, err := wire.ParseGreeting(payload); err != nil {
				return err
			}
			t.Cleanup(func() { _ = c.Close() })
			return errStay
		})
		se := (*wire.ServerError)(nil)
		switch {
		case errors.Is(err, errStay):
		case errors.As(err, &se) && se.Code == 1040:
			refused++
		default:
			t.Errorf("got %v", err)
		}
	}
	if refused < 20 {
		t.Errorf("%d of 120 clients were told that there is no descriptor", refused)
	}
	limit(1 << 20)
	db := open(t, o.primary, "")
	o.eventually(30*time.Second, "a client is served", func() error {
		if err := db.Ping(); err != nil {
			return fmt.Errorf("ping: %w", err)
		}
		return nil
	})
}
