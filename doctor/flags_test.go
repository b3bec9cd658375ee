package doctor

import "testing"

func TestJudgeStart(t *testing.T) {
	for name, c := range map[string]struct {
		plain, super       string
		plainOn, superOn   bool
		readOnly, mayBeOff bool // known and on; not known
	}{
		"nothing was ever set":                 {"COMPILED", "COMPILED", false, false, false, false},
		"read_only is in my.cnf":               {"GLOBAL", "COMPILED", true, false, true, false},
		"super_read_only is in my.cnf":         {"COMPILED", "GLOBAL", true, true, true, false},
		"both are on the command line":         {"COMMAND_LINE", "COMMAND_LINE", true, true, true, false},
		"closed at run time":                   {"COMPILED", "DYNAMIC", true, true, false, true},
		"read_only=0 in my.cnf":                {"GLOBAL", "COMPILED", false, false, false, false},
		"read_only=? in my.cnf, then closed":   {"GLOBAL", "DYNAMIC", true, true, false, true},
		"opened at run time":                   {"DYNAMIC", "COMPILED", false, false, false, true},
		"super in my.cnf, opened by read_only": {"DYNAMIC", "GLOBAL", false, false, false, true},
		"opened by both at run time":           {"DYNAMIC", "DYNAMIC", false, false, false, true},
	} {
		readOnly, known := judgeStart(map[string]string{"read_only": c.plain, "super_read_only": c.super},
			map[string]bool{"read_only": c.plainOn, "super_read_only": c.superOn})
		if readOnly != c.readOnly || known == c.mayBeOff {
			t.Errorf("%s: read-only %t, known %t", name, readOnly, known)
		}
	}
}
