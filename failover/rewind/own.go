package rewind

import (
	"regexp"

	"github.com/onewriter/onewriter/internal/flavor"
)

// ownDefinition matches statements that make Onewriter's own tables and its event, in a form that can be repeated. The servers
// write a DEFINER into them.
var ownDefinition = regexp.MustCompile("(?is)^\\s*(?:" +
	"CREATE\\s+(?:DATABASE|SCHEMA|TABLE)\\s+IF\\s+NOT\\s+EXISTS|" +
	"CREATE\\s+(?:DEFINER\\s*=\\s*\\S+\\s+)?EVENT\\s+IF\\s+NOT\\s+EXISTS|" +
	"ALTER\\s+(?:DEFINER\\s*=\\s*\\S+\\s+)?EVENT" +
	")\\s+`?" + flavor.Schema + "`?(?:\\s*\\.|\\s|;|$)")

// repeatable reports whether a statement need not be undone: it only defines what is Onewriter's own, and does no harm when
// the primary sends it again. The watchdog of a new primary is such a thing, which the old one may have replicated on top
// of its own transactions before it was closed.
func repeatable(statement string) bool { return ownDefinition.MatchString(statement) }
