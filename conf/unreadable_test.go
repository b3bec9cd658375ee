package conf

import (
	"strings"
	"testing"
)

// TestUnreadableFilesNameTheLine checks the place and the text of what is no YAML.
func TestUnreadableFilesNameTheLine(t *testing.T) {
	with := func(old, replacement string) string { return strings.Replace(small, old, replacement, 1) }
	for name, c := range map[string]struct{ text, want string }{
		"key too far left":  {with("    servers:", "   servers:"), "\n    >   4 |    servers:"},
		"key too far right": {with("    servers:", "     servers:"), "\n    >   4 |      servers:"},
		"in the first entry": {"clusters:\n  - name: orders\n   servers:\n      - {name: a, address: \"127.0.0.1:3306\"}\n    listeners:\n      - {address: \":6446\", route: primary}\n",
			", line 3: compare its indentation with the lines above, and look for a missing quote, colon, brace or dash\n        2 |   - name: orders\n    >   3 |    servers:"},
		"entry too far left": {with("      - {address", "   - {address"), "\n    >   7 |    - {address:"},
		"tab":                {with("    listeners:", "\tlisteners:"), "line 6: indent with spaces, not with tabs"},
		"open quote":         {with(`":6446"`, `":6446`), "\n    >   7 |"},
		"open brace":         {with("route: primary}", "route: primary"), ", line "},
		"no colon":           {with("listeners:", "listeners"), ", line "},
		"variable in braces": {with("geheim-xyz", "${PW}"), "line 8: inside braces or brackets a value with ${...} must be in quotes"},
		"after a long text":  {small + "x: |\n" + strings.Repeat("  text: [\n", 120) + "a\n", "\n    > 130 | a"},
		"after a long list":  {small + "x: [\n" + strings.Repeat("  a,\n", 40) + "]\n}\n", "\n    >  51 | }"},
		"in a secret":        {with("geheim-xyz}", "geheim-xyz}}"), "\n    >   8 |     control: {user: onewriter, password: ***"},
		"below a secret":     {with("control: {user: onewriter, password: geheim-xyz}", "control:\n      user: x\n      password: \"geheim\n  geheim\": x\n"), ", line "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.text, map[string]string{"PW": "x"})
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim") || !strings.Contains(err.Error(), "this is not YAML") {
				t.Errorf("want %q:\n%v", c.want, err)
			}
		})
	}
}
