package flavor

import "strings"

// ReadAll reports whether an applier in this state (Slave_SQL_Running_State) says that it has read all of its relay
// log, in the words of any version.
func ReadAll(state string) bool { return strings.Contains(state, "has read all relay log") }
