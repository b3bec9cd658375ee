package conf

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// walker compares a YAML document with the structs of this package. It collects problems, remembers where each key
// stands, lets the environment override values, expands variables and fills in defaults.
type walker struct {
	env      *environment
	problems []Problem
	lines    map[string]int
	fromEnv  map[string]string // path to the name of the variable it was taken from
	explicit map[string]bool   // paths that were written, in the file or the environment
}

func (w *walker) problem(path string, line int, fix, format string, args ...any) {
	w.problems = append(w.problems, Problem{Path: path, Line: line, Text: fmt.Sprintf(format, args...), Fix: fix})
}

// object turns a mapping into a map with a value for every key that is set or has a default. n may be nil.
func (w *walker) object(n *yaml.Node, t reflect.Type, path string) map[string]any {
	given := w.members(n, t, path)
	out := map[string]any{}
	for _, f := range fieldsOf(t) {
		child := join(path, f.key)
		node := given[f.key]
		line := w.lines[path]
		if node != nil {
			line = node.Line
		}
		w.lines[child] = line
		if v, ok := w.value(node, f, f.typ, child); ok {
			out[f.key] = v
			continue
		}
		if f.required && !w.reported(child) {
			w.problem(child, line, "add it", "is missing")
		}
	}
	return out
}

// members returns the nodes of a mapping by key and reports keys that do not belong there.
func (w *walker) members(n *yaml.Node, t reflect.Type, path string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	n = resolve(n)
	if n == nil || isNull(n) {
		return out
	}
	if n.Kind != yaml.MappingNode {
		w.problem(path, n.Line, "write `key: value` lines", "is not a group of keys")
		return out
	}
	valid := keysOf(t)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		child := join(path, k.Value)
		switch {
		case k.Tag == "!!merge":
			w.problem(child, k.Line, "write the keys out", "merge keys are not supported")
		case !contains(valid, k.Value):
			w.problem(child, k.Line, suggestion(k.Value, valid), "is not a known key")
		case out[k.Value] != nil:
			w.problem(child, k.Line, "remove one of the two", "is there twice, first in line %d", out[k.Value].Line)
		default:
			if resolve(v) != nil {
				v = resolve(v)
			}
			v.Line = k.Line
			out[k.Value] = v
		}
	}
	return out
}

// value converts one node (nil: the key is missing) to what the decoder gets.
func (w *walker) value(n *yaml.Node, f field, t reflect.Type, path string) (any, bool) {
	switch t.Kind() {
	case reflect.Struct:
		if n == nil && f.required {
			return nil, false
		}
		return w.object(n, t, path), true
	case reflect.Slice:
		return w.list(n, f, t.Elem(), path)
	default:
		return w.scalar(n, f, t, path)
	}
}

func (w *walker) list(n *yaml.Node, f field, elem reflect.Type, path string) (any, bool) {
	n = resolve(n)
	if n == nil || isNull(n) {
		return nil, false
	}
	if n.Kind != yaml.SequenceNode {
		w.problem(path, n.Line, "begin each entry with `- `", "is not a list")
		return nil, false
	}
	if f.required && len(n.Content) == 0 {
		w.problem(path, n.Line, "add at least one entry", "is empty")
		return nil, false
	}
	out := make([]any, 0, len(n.Content))
	for i, c := range n.Content {
		child := fmt.Sprintf("%s[%d]", path, i)
		w.lines[child] = c.Line
		if v, ok := w.value(resolve(c), field{}, elem, child); ok {
			out = append(out, v)
		}
	}
	return out, true
}

// scalar takes the value from the environment, the file or the default, in this order, and checks it.
func (w *walker) scalar(n *yaml.Node, f field, t reflect.Type, path string) (any, bool) {
	text, line, set := "", w.lines[path], false
	name := EnvName(path)
	if v, ok := w.env.lookup(name); ok {
		text, line, set = v, 0, true
		w.fromEnv[path] = name
		w.lines[path] = 0
	}
	if n = resolve(n); !set && n != nil && !isNull(n) {
		if n.Kind != yaml.ScalarNode {
			w.problem(path, n.Line, "write one value", "is a list or group")
			return nil, false
		}
		expanded, err := expand(n.Value, w.env.lookup)
		if err != nil {
			w.problem(path, n.Line, "set the variable, or write $$ for a dollar sign", "%v", err)
			return nil, false
		}
		text, set = expanded, true
	}
	if !set {
		if f.def == "" {
			return nil, false
		}
		text = f.def
	} else {
		w.explicit[path] = true
	}
	if f.required && text == "" {
		w.problem(path, line, "give it a value", "is empty")
		return nil, false
	}
	return w.convert(text, f, t, path, line)
}

func (w *walker) convert(text string, f field, t reflect.Type, path string, line int) (any, bool) {
	where := func(fix, format string, args ...any) (any, bool) {
		if name := w.fromEnv[path]; name != "" {
			fix += " (the value comes from the environment variable " + name + ")"
		}
		w.problem(path, line, fix, format, args...)
		return nil, false
	}
	switch {
	case t == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return where(durationFix(text), "%q is not a duration", text)
		}
		if low, high, out := outside(d, f, mustDuration); out {
			return where("choose another value", "%s is not between %s and %s", d, low, high)
		}
		return d, true
	case t.Kind() == reflect.Int:
		i, err := strconv.Atoi(text)
		if err != nil {
			return where("write digits only", "%q is not a whole number", text)
		}
		if low, high, out := outside(i, f, mustInt); out {
			return where("choose another value", "%d is not between %d and %d", i, low, high)
		}
		return i, true
	case t.Kind() == reflect.Bool:
		switch strings.ToLower(text) {
		case "true", "yes", "on":
			return true, true
		case "false", "no", "off":
			return false, true
		}
		return where("write true or false", "%q is neither true nor false", text)
	}
	if f.enum != nil && !contains(f.enum, text) {
		fix := "write one of " + strings.Join(f.enum, ", ")
		if best := Nearest(text, f.enum); best != "" {
			fix = "did you mean " + best + "? Allowed: " + strings.Join(f.enum, ", ")
		}
		return where(fix, "%q is not allowed", text)
	}
	return text, true
}

func (w *walker) reported(path string) bool {
	for _, p := range w.problems {
		if p.Path == path {
			return true
		}
	}
	return false
}

func outside[T ~int | ~int64](v T, f field, parse func(string) T) (low, high T, out bool) {
	if f.min == "" || f.max == "" {
		return 0, 0, false
	}
	low, high = parse(f.min), parse(f.max)
	return low, high, v < low || v > high
}

func mustDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic("conf: tag is no duration: " + s)
	}
	return d
}

func mustInt(s string) int {
	i, err := strconv.Atoi(s)
	if err != nil {
		panic("conf: tag is no number: " + s)
	}
	return i
}

func durationFix(text string) string {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return "add a unit, for example " + text + "s or " + text + "ms"
	}
	return "write a number and a unit: 250ms, 5s, 2m, 1h"
}

func suggestion(key string, valid []string) string {
	if best := Nearest(key, valid); best != "" {
		return "did you mean " + best + "?"
	}
	return "known here: " + strings.Join(valid, ", ")
}

func contains(words []string, s string) bool {
	for _, w := range words {
		if w == s {
			return true
		}
	}
	return false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
