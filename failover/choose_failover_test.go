package failover

import (
	"testing"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

// What is known of the old primary's own link says whether the pair is circular, also when the link leads to an address
// that is not ours.
func TestCircular(t *testing.T) {
	place := gtid.FilePos("binlog.000001", 4)
	candidate := serverView{Instance: topology.Instance{Name: "b", Address: "10.0.0.2:3306"}, Facts: topology.Facts{ServerID: 2, Position: place}}
	third := serverView{Instance: topology.Instance{Name: "c", Address: "10.0.0.3:3306"}, Facts: topology.Facts{ServerID: 3, Position: place}}
	for _, c := range []struct {
		name  string
		facts topology.Facts
		star  bool
		want  bool
	}{
		{"no link", topology.Facts{ServerID: 1, Position: place}, false, false},
		{"never seen", topology.Facts{}, false, true},
		{"by its id", facts(place, "192.168.0.2:3306", 2), false, true},
		{"never connected, our address", facts(place, "10.0.0.2:3306", 0), false, true},
		{"never connected, another address", facts(place, "192.168.0.2:3306", 0), false, true},
		{"never connected, one of three servers", facts(place, "192.168.0.2:3306", 0), true, false},
		{"refused because the server ids were equal", facts(place, "192.168.0.2:3306", 1), false, true},
		{"to a server that is none of ours", facts(place, "192.168.0.9:3306", 9), false, false},
	} {
		p := serverView{Instance: topology.Instance{Name: "a", Address: "10.0.0.1:3306"}, Facts: c.facts}
		v := view{p, candidate}
		if c.star {
			v = append(v, third)
		}
		if got := takeover(v, p, candidate, nil, Policy{}, false).Circular; got != c.want {
			t.Errorf("%s: circular %t", c.name, got)
		}
	}
}

func facts(place gtid.Position, source string, id uint32) topology.Facts {
	return topology.Facts{ServerID: 1, Position: place, Links: []topology.Link{{Source: source, SourceServerID: id}}}
}
