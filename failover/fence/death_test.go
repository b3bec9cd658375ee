package fence

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/onewriter/onewriter/internal/faultnet"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// onOwnPairs runs a test on a pair of each flavour that is its own, because it ends servers or links.
func onOwnPairs(t *testing.T, o mysqltest.PairOptions, test func(*site)) {
	t.Helper()
	for _, f := range both {
		t.Run(f.String(), func(t *testing.T) {
			o.Flavor = f
			p := startPair(t, o)
			t.Cleanup(func() { _ = p.Close() })
			test(siteOf(t, p))
		})
	}
}

// Both signs: refused here, and refused at the standby. Neither alone is a proof.
func TestProveDead(t *testing.T) {
	onOwnPairs(t, mysqltest.PairOptions{}, func(s *site) {
		ctx := context.Background()
		primary := s.pair.Servers[0]
		address, id := primary.Addr(), primary.ServerID
		if p, err := ProveDead(ctx, address, id, []Server{s.b}); !errors.Is(err, ErrNotDead) || p != nil {
			s.t.Fatalf("a living server was proved dead: %v, %v", p, err)
		}
		s.rejected(id)
		primary.Kill9()
		for _, witnesses := range [][]Server{nil, {s.a}} { // nobody, and one that does not answer itself
			if p, err := ProveDead(ctx, address, id, witnesses); !errors.Is(err, ErrNotDead) || p != nil {
				s.t.Errorf("dead without a witness: %v, %v", p, err)
			}
		}
		proof := s.eventuallyDead(address, id)
		if proof.Kind() != ByDeath || proof.Of() != address || len(proof.Evidence()) != 2 {
			s.t.Errorf("%s of %s: %q", proof.Kind(), proof.Of(), proof.Evidence())
		}
		s.t.Log(proof.Evidence())
		if err := s.b.Dialect.StopReplica(ctx, s.b.DB, "", 0); err != nil {
			s.t.Fatal(err)
		}
		if p, err := ProveDead(ctx, address, id, []Server{s.b}); !errors.Is(err, ErrNotDead) || p != nil {
			s.t.Errorf("a link that was stopped is a witness: %v, %v", p, err)
		}
	})
}

// rejected: a packet filter refuses us alone, the standby still receives.
func (s *site) rejected(id uint32) {
	s.t.Helper()
	link, err := faultnet.Listen(s.pair.Servers[0].Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer link.Close()
	link.Reject()
	if p, err := ProveDead(context.Background(), link.Addr(), id, []Server{s.b}); !errors.Is(err, ErrNotDead) || p != nil {
		s.t.Errorf("proved dead although the standby still receives: %v, %v", p, err)
	}
	link.Cut()
	if p, err := ProveDead(context.Background(), link.Addr(), id, []Server{s.b}); !errors.Is(err, ErrNotDead) || p != nil {
		s.t.Errorf("proved dead although nothing refused: %v, %v", p, err)
	}
}

// eventuallyDead waits until the standby has noticed.
func (s *site) eventuallyDead(address string, id uint32) *Proof {
	s.t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		proof, err := ProveDead(context.Background(), address, id, []Server{s.b})
		if err == nil {
			return proof
		}
		if time.Since(begun) > 20*time.Second {
			s.t.Fatal(err)
		}
	}
}

// Refused here, while the standby's receiver fails for another reason: no proof.
func TestAnotherErrorIsNoDeath(t *testing.T) {
	onOwnPairs(t, mysqltest.PairOptions{Star: true}, func(s *site) {
		ctx := context.Background()
		s.root("ALTER USER '" + mysqltest.ReplicationUser + "'@'%' IDENTIFIED BY 'changed'")
		s.endDumps()
		var why string
		for begun := time.Now(); why == ""; time.Sleep(20 * time.Millisecond) {
			facts, err := s.b.Dialect.Observe(ctx, s.b.DB)
			if err != nil || time.Since(begun) > 20*time.Second {
				s.t.Fatalf("the receiver has no error: %v", err)
			}
			if facts.Links[0].IOErrno == 1045 {
				why = facts.Links[0].IOError
			}
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.t.Fatal(err)
		}
		nobody := l.Addr().String()
		_ = l.Close() // refuses from now on
		if p, err := ProveDead(ctx, nobody, s.pair.Servers[0].ServerID, []Server{s.b}); !errors.Is(err, ErrNotDead) || p != nil {
			s.t.Errorf("proved dead although the receiver says %q: %v, %v", why, p, err)
		}
	})
}

// endDumps makes the standbys of the primary connect again.
func (s *site) endDumps() {
	s.t.Helper()
	rows, err := s.pair.Servers[0].DB().Query("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	_ = rows.Close()
	for _, id := range ids {
		s.root(fmt.Sprintf("KILL %d", id))
	}
}
