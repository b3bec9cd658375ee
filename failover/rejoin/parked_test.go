package rejoin

import (
	"net"
	"testing"
	"time"

	"github.com/onewriter/onewriter/coord"
	"github.com/onewriter/onewriter/internal/faultnet"
	"github.com/onewriter/onewriter/internal/mysqltest"
)

// TestRoutes takes pairs through it whose servers reach each other at other addresses than ours, as over a network of
// their own.
func TestRoutes(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			o := p.Options
			o.Route = routed(t)
			s := startScene(t, o)
			s.each(t, []sceneTest{
				{"parked", testParkedRoute},
				{"not parked, with something received", testReceivedBefore},
				{"old has restarted", testParkedAfterRestart},
				{"a link back that cannot be restored", testUnreachableBack},
				{"a star", testRoutedStar},
				{"a star without a link", testStarWithoutLink},
			})
		})
	}
}

// routed gives every server an address of its own for every other one.
func routed(t *testing.T) func(from, to int, addr string) string {
	return func(_, _ int, addr string) string {
		l, err := faultnet.Listen(addr)
		if err != nil {
			t.Error(err)
			return addr
		}
		t.Cleanup(l.Close)
		return l.Addr()
	}
}

// park parks the link back as a failover does, and wants it parked for good.
func (s *scene) park(old *node, d *coord.Departure) {
	s.t.Helper()
	l := s.linkOf(s.primary, old)
	d.Link = l.Source
	for range 2 {
		if err := Park(s.t.Context(), s.primary.Server, l.Channel, d.FilePos); err != nil {
			s.t.Fatal(err)
		}
	}
	if links := s.observe(s.primary).Links; len(links) != 1 || !parked(links[0]) || anyThread(links) {
		s.t.Fatalf("the link is not parked: %+v", links)
	}
}

// wantBack wants the link back to run at the address it had.
func (s *scene) wantBack(d coord.Departure) {
	s.t.Helper()
	if links := s.observe(s.primary).Links; len(links) != 1 || !links[0].Running() || links[0].Source != d.Link {
		s.t.Fatalf("the link back is not as it was (%s): %+v", d.Link, links)
	}
}

func testParkedRoute(s *scene) {
	old, d := s.leave(nil)
	s.park(old, &d)
	s.quarantine(old)
	s.judge(old, d, Clean)
	s.bringBack(old, d, account)
	s.wantBack(d)
}

func testParkedAfterRestart(s *scene) {
	old, d := s.leave(killed)
	s.park(old, &d)
	s.crash(old)
	s.quarantine(old)
	s.judge(old, d, Clean)
	s.bringBack(old, d, account)
	s.wantBack(d)
}

// The operator has given up what the new primary had received and not applied, and the old one has it no more.
func testReceivedBefore(s *scene) {
	s.wantEqual()
	old, candidate := s.primary, s.standby()
	link, seen := s.linkOf(candidate, old), s.observe(old)
	s.exec(candidate, stopApplier(s.opts.Flavor))
	lost := s.write(old, 3)
	s.waitFor("the rows in the relay log", func() bool {
		l := s.linkOf(candidate, old)
		return !l.AppliedFile.Contains(l.ReceivedFile)
	})
	old, d := s.take(candidate, link, seen)
	d.Link = link.Source
	s.quarantine(old)
	s.judge(old, d, Diverged)
	s.takeAway(old, lost)
	s.discard(old, d)
	if got := s.has(s.primary, lost); got != 0 {
		s.t.Fatalf("%d rows that were given up came to the new primary", got)
	}
	s.wantBack(d)
}

// A link back that does not come up is parked again.
func testUnreachableBack(s *scene) {
	old, d := s.leave(nil)
	s.park(old, &d)
	s.quarantine(old)
	s.judge(old, d, Clean)
	wrong := d
	wrong.Link = net.JoinHostPort("127.0.0.1", "1")
	if err := Reattach(s.within(20*time.Second), old.Server, s.primary.Server, account, d); err != nil {
		s.t.Fatal(err)
	}
	if err := Relink(s.within(3*time.Second), old.Server, s.primary.Server, wrong); err == nil {
		s.t.Fatal("a link to nowhere runs")
	}
	if links := s.observe(s.primary).Links; len(links) != 1 || !parked(links[0]) || anyThread(links) {
		s.t.Fatalf("the link was left as it is: %+v", links)
	}
	s.relink(old, d)
	s.wantBack(d)
}

func testRoutedStar(s *scene) {
	old, d := s.leave(nil)
	s.park(old, &d)
	d.Circular = false
	s.quarantine(old)
	s.judge(old, d, Clean)
	s.bringBack(old, d, account)
	if links := s.observe(s.primary).Links; len(links) != 0 {
		s.t.Errorf("the primary has links: %+v", links)
	}
}

// The pair was taken for a circular one because of a link that was left over, and there is none any more.
func testStarWithoutLink(s *scene) {
	old, d := s.leave(nil)
	if err := dropLink(s.t.Context(), s.primary.Server, s.linkOf(s.primary, old)); err != nil {
		s.t.Fatal(err)
	}
	s.quarantine(old)
	s.judge(old, d, Clean)
	if err := Reattach(s.within(20*time.Second), old.Server, s.primary.Server, account, d); err != nil {
		s.t.Fatal(err)
	}
	if err := Relink(s.within(20*time.Second), old.Server, s.primary.Server, d); err != nil {
		s.t.Fatal(err)
	}
	if links := s.observe(s.primary).Links; len(links) != 0 {
		s.t.Errorf("the primary has links: %+v", links)
	}
}

func stopApplier(f mysqltest.Flavor) string {
	if f == mysqltest.MySQL {
		return "STOP REPLICA SQL_THREAD"
	}
	return "STOP SLAVE SQL_THREAD"
}
