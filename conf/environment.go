package conf

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

const envPrefix = "ONEWRITER_"

// EnvName gives the environment variable that overrides the key at path: clusters[0].control.user is overridden by
// ONEWRITER_CLUSTERS_0_CONTROL_USER.
func EnvName(path string) string {
	var b strings.Builder
	b.WriteString(envPrefix)
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
			value, ok := lookupEnv(name)
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

// environment is what the process was given, and what the file and its keys have asked for of that.
type environment struct {
	values map[string]string
	asked  map[string]bool // variables that override a key of this file, or are named by a ${NAME} in it
}

// newEnvironment reads a list of NAME=value as os.Environ gives it.
func newEnvironment(list []string) *environment {
	e := &environment{values: map[string]string{}, asked: map[string]bool{}}
	for _, entry := range list {
		if name, value, ok := strings.Cut(entry, "="); ok {
			e.values[name] = value
		}
	}
	return e
}

func (e *environment) lookup(name string) (string, bool) {
	e.asked[name] = true
	v, ok := e.values[name]
	return v, ok
}

// otherVariables begin like those that override keys, and something else of this project reads them or is given them.
var otherVariables = []string{
	"ONEWRITER_ADMIN", // where the command line finds the admin endpoint; see also admin.token
	// What a fencing command is told:
	"ONEWRITER_ADDRESS", "ONEWRITER_CANDIDATE", "ONEWRITER_CLUSTER", "ONEWRITER_EPOCH", "ONEWRITER_SERVER", "ONEWRITER_VERDICT",
	// Tests, benchmarks and their scripts, which run the program with the environment that they have:
	"ONEWRITER_BARS", "ONEWRITER_BINARY", "ONEWRITER_CACHE", "ONEWRITER_DUMP_MB", "ONEWRITER_FLOOD", "ONEWRITER_FUZZ", "ONEWRITER_FUZZ_SEED", "ONEWRITER_LEAKS",
	"ONEWRITER_LONG", "ONEWRITER_MARIADBD", "ONEWRITER_MARIADB_ROOT", "ONEWRITER_MIRROR", "ONEWRITER_MYSQL_ROOT", "ONEWRITER_ONLY", "ONEWRITER_RECORD", "ONEWRITER_REQUIRE_SERVERS",
	"ONEWRITER_SYSBENCH_SECONDS",
}

// serviceVariable is the form of the variables by which Kubernetes tells every container of a namespace about a Service, and
// Docker about a link. The first group is the name of the Service, the second what is told.
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
var serviceVariable = regexp.MustCompile(`^(ONEWRITER(?:_[A-Z0-9_]+?)??)_(SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$`)

// ofService reports whether a variable tells of a Service; sure is false when it only looks as if it did.
func (e *environment) ofService(name string) (is, sure bool) {
	m := serviceVariable.FindStringSubmatch(name)
	if m == nil {
		return false, false
	}
	if _, ok := e.values[m[1]+"_SERVICE_HOST"]; ok {
		return true, true
	}
	// The address of a Service is a URL; a bare number would be somebody's idea of an option.
	return m[2] != "PORT" || strings.Contains(e.values[name], "://"), false
}

// environment reports the variables that begin as those do that override keys, and override none: as an error where an option
// has nearly that name. It must run when all keys have been looked for.
func (v *validator) environment() {
	keys := envPatterns(reflect.TypeFor[Config](), "")
	for _, name := range slices.Sorted(maps.Keys(v.env.values)) {
		if !strings.HasPrefix(name, envPrefix) || v.env.asked[name] || slices.Contains(otherVariables, name) || v.below(name) {
			continue
		}
		is, sure := v.env.ofService(name)
		switch {
		case sure:
		case keys[numbers.ReplaceAllString(name, "[]$1")]:
			v.problem(name, 0, "add the entry to the file, or unset the variable", "is an environment variable for an entry of a list that the file does not have")
		case is:
			v.warnings = append(v.warnings, Problem{Path: name, Text: "is an environment variable that is no option; it looks like one that Kubernetes or Docker sets for a service",
				Fix: cmp.Or(v.meant(name), "nothing to do if it is")})
		default:
			if meant := v.meant(name); meant != "" {
				v.problem(name, 0, meant, "is an environment variable that is no option")
				continue
			}
			v.warnings = append(v.warnings, Problem{Path: name, Text: "is an environment variable that is no option, nothing reads it",
				Fix: "`onewriter config reference` shows all options"})
		}
	}
}

// meant is the question whether the option most like name was meant, "" when none is like it.
func (v *validator) meant(name string) string {
	var options []string
	for option := range v.env.asked {
		if rest, ok := strings.CutPrefix(option, envPrefix); ok {
			options = append(options, rest)
		}
	}
	slices.Sort(options)
	best := Nearest(strings.TrimPrefix(name, envPrefix), options)
	if best == "" {
		return ""
	}
	return "did you mean " + envPrefix + best + "?"
}

// below reports whether the variable belongs to a part of the file that could not be read.
func (v *validator) below(name string) bool {
	return slices.ContainsFunc(v.problems, func(p Problem) bool {
		return p.Line > 0 && p.Path != "" && strings.HasPrefix(name, EnvName(p.Path)+"_")
	})
}

// numbers are the numbers of entries in the name of a variable.
var numbers = regexp.MustCompile(`_[0-9]+(_|$)`)

// envPatterns are the names of the variables for every key below path, with [] for the numbers of entries.
func envPatterns(t reflect.Type, path string) map[string]bool {
	out := map[string]bool{}
	switch {
	case t.Kind() == reflect.Struct:
		for _, f := range fieldsOf(t) {
			maps.Copy(out, envPatterns(f.typ, join(path, f.key)))
		}
	case t.Kind() == reflect.Slice:
		for name := range envPatterns(t.Elem(), path+".0") {
			out[numbers.ReplaceAllString(name, "[]$1")] = true
		}
	default:
		out[EnvName(path)] = true
	}
	return out
}
