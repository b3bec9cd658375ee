package failover

import (
	"testing"

	"github.com/onewriter/onewriter/internal/binlog"
	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// By file and position: a primary that has lost the end of its binary log in a crash does not have all that its standby has,
// although it has begun a new file since, whether it follows the standby or not.
func TestContainsWhenTheEndOfALogWasLost(t *testing.T) {
	server := func(name string, id uint32, end gtid.Position, links ...topology.Link) serverView {
		return serverView{Instance: topology.Instance{Name: name, Address: name}, Facts: topology.Facts{ServerID: id, Position: end, Links: links}, Binlog: end}
	}
	for _, tt := range []struct {
		name              string
		received, applied uint64 // of a's file 4
		want              bool
	}{
		{"everything", 8000, 8000, true},
		{"more", 9999, 9999, false},
		{"received more", 9999, 8000, false},
	} {
		for _, circular := range []bool{false, true} {
			link := topology.Link{SourceServerID: 1, ReceivedFile: gtid.FilePos("a.000004", tt.received), AppliedFile: gtid.FilePos("a.000004", tt.applied)}
			b := server("b", 2, gtid.FilePos("b.000007", 500), link)
			a := server("a", 1, gtid.FilePos("a.000005", 157))
			if circular {
				a = server("a", 1, a.Binlog, topology.Link{SourceServerID: 2, ReceivedFile: b.Binlog, AppliedFile: b.Binlog})
			}
			if !contains(a, b) {
				t.Errorf("%s, circular %t: without the sizes of its files a does not count as having all", tt.name, circular)
			}
			a.Logs = []binlog.Log{{Name: "a.000003", Size: 1000}, {Name: "a.000004", Size: 8000}, {Name: "a.000005", Size: 157}}
			if got := contains(a, b); got != tt.want {
				t.Errorf("%s, circular %t: a has all that b has: %t, want %t", tt.name, circular, got, tt.want)
			}
			a.Logs = a.Logs[:2] // it is being written and was looked at a moment before b
			a.Binlog, a.Facts.Position = gtid.FilePos("a.000004", 10000), gtid.FilePos("a.000004", 10000)
			if !contains(a, b) {
				t.Errorf("%s, circular %t: the last file counts", tt.name, circular)
			}
		}
	}
}
