package conf

import (
	"fmt"
	"strings"
)

// EnvName gives the environment variable that overrides the key at path: clusters[0].control.user is overridden by
// ONEWRITER_CLUSTERS_0_CONTROL_USER.
func EnvName(path string) string {
	var b strings.Builder
	b.WriteString("ONEWRITER_")
	for _, r := range strings.ToUpper(path) {
		switch {
		case r == ']':
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// expand replaces ${NAME} by the environment variable NAME and $$ by a dollar sign. A dollar sign before anything
// else stays.
func expand(s string, lookupEnv func(string) (string, bool)) (string, error) {
	if !strings.Contains(s, "$") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '$' || i+1 == len(s):
			b.WriteByte(s[i])
		case s[i+1] == '$':
			b.WriteByte('$')
			i++
		case s[i+1] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return "", fmt.Errorf("${ has no closing brace")
			}
			name := s[i+2 : i+end]
			var value string
			ok := false
			if lookupEnv != nil {
				value, ok = lookupEnv(name)
			}
			if !ok {
				return "", fmt.Errorf("the environment variable %s is not set", name)
			}
			b.WriteString(value)
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String(), nil
}
