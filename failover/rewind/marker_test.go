package rewind

import (
	"errors"
	"testing"

	"github.com/onewriter/onewriter/internal/gtid"
	"github.com/onewriter/onewriter/topology"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
)

// TestWhatIsClaimedAfterAnInterruption: the server is server_id 10 or uuidA.
func TestWhatIsClaimedAfterAnInterruption(t *testing.T) {
	for name, c := range map[string]struct{ was, claim, now, want string }{
		"with the tail":             {"0-10-9,0-20-4", "0-10-6,0-20-4", "0-10-9,0-20-4", "0-10-6,0-20-4"},
		"links brought more":        {"0-10-9,0-20-4", "0-10-6,0-20-4", "0-10-9,0-20-12", "0-10-6,0-20-12"},
		"emptied":                   {"0-10-9,0-20-4", "0-10-6,0-20-4", "", "0-10-6,0-20-4"},
		"emptied, place is left":    {"0-10-9,0-20-4", "0-10-6,0-20-4", "0-20-4", "0-10-6,0-20-4"},
		"replaced":                  {"0-10-9,0-20-4", "0-10-6,0-20-4", "0-10-6,0-20-4", "0-10-6,0-20-4"},
		"replaced and links":        {"0-10-9,0-20-4", "0-10-6,0-20-4", "0-10-6,0-20-7", "0-10-6,0-20-7"},
		"wrote again":               {"0-10-9,0-20-4", "0-10-6,0-20-4", "0-10-10,0-20-4", ""},
		"wrote in another domain":   {"0-10-9,0-20-4", "0-10-6,0-20-4", "0-10-9,0-20-4,1-10-1", ""},
		"part of the tail":          {"0-10-9,0-20-4", "0-10-6,0-20-4", "0-10-8,0-20-4", ""},
		"the first of its own":      {"0-10-2,0-20-4", "0-20-4", "0-10-2,0-20-5", "0-20-5"},
		"mysql, with the tail":      {uuidA + ":1-9," + uuidB + ":1-4", uuidA + ":1-6," + uuidB + ":1-4", uuidA + ":1-9," + uuidB + ":1-4", uuidA + ":1-6," + uuidB + ":1-4"},
		"mysql, links":              {uuidA + ":1-9," + uuidB + ":1-4", uuidA + ":1-6," + uuidB + ":1-4", uuidA + ":1-9," + uuidB + ":1-8", uuidA + ":1-6," + uuidB + ":1-8"},
		"mysql, replaced and links": {uuidA + ":1-9," + uuidB + ":1-4", uuidA + ":1-6," + uuidB + ":1-4", uuidA + ":1-6," + uuidB + ":1-8", uuidA + ":1-6," + uuidB + ":1-8"},
		"mysql, emptied":            {uuidA + ":1-9", uuidA + ":1-6", "", uuidA + ":1-6"},
		"mysql, wrote again":        {uuidA + ":1-9", uuidA + ":1-6", uuidA + ":1-10", ""},
		"mysql, part of the tail":   {uuidA + ":1-9", uuidA + ":1-6", uuidA + ":1-8", ""},
	} {
		parse := gtid.ParseMariaDB
		if len(c.was) > 30 {
			parse = gtid.ParseMySQL
		}
		position := func(text string) gtid.Position {
			p, err := parse(text)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		m := marker{was: position(c.was), claim: position(c.claim)}
		got, err := m.without(topology.Facts{Position: position(c.now), ServerID: 10, ServerUUID: uuidA})
		if c.want == "" && !errors.Is(err, ErrChanged) || c.want != "" && (err != nil || got.String() != c.want) {
			t.Errorf("%s: %s, %v, want %q", name, got, err, c.want)
		}
	}
}
