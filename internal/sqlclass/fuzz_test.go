package sqlclass

import (
	"bytes"
	"strings"
	"testing"
)

// pieces cuts a text into its tokens with the lexer. It is false for texts in
// which what a token is depends on what stands directly beside it.
func pieces(sql string) ([]string, bool) {
	l := lexer{}
	l.init([]byte(sql), Options{})
	var out []string
	end := -1
	for {
		t := l.next()
		if t.kind == tokenEnd {
			return out, !l.broken && !l.sawExec && !l.sawDollar
		}
		// @@name, user@host and operators of several bytes stay in one piece.
		if t.start == end && len(out) > 0 {
			out[len(out)-1] += sql[t.start:t.end]
		} else {
			out = append(out, sql[t.start:t.end])
		}
		end = t.end
	}
}

// TestCommentsChangeNothing puts comments between the tokens of each statement.
func TestCommentsChangeNothing(t *testing.T) {
	for _, tt := range classifyTests {
		parts, ok := pieces(tt.sql)
		if !ok {
			continue
		}
		for _, comment := range []string{
			" /* ' \" ; FOR UPDATE */ ", "/**/", "\n-- ' FOR UPDATE\n", " # \" `\n", "\t\r\n\v\f ",
		} {
			sql := comment + strings.Join(parts, comment) + comment
			if got := Classify([]byte(sql), Options{}).String(); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", sql, got, tt.want)
			}
		}
	}
}

// TestExecutableCommentsAreCode wraps each statement: all its effects must stay.
func TestExecutableCommentsAreCode(t *testing.T) {
	for _, tt := range classifyTests {
		if _, ok := pieces(tt.sql); !ok {
			continue
		}
		plain := Classify([]byte(tt.sql), Options{})
		for _, open := range []string{"/*!", "/*!50001 ", "/*!100100", "/*M!100100 ", "/*M! "} {
			sql := open + tt.sql + "\n*/"
			if got := Classify([]byte(sql), Options{}); got.Effects&plain.Effects != plain.Effects ||
				got.Verb != plain.Verb || got.ReadOnly && !plain.ReadOnly {
				t.Errorf("%s\n got %s\nwant %s", sql, got, plain)
			}
		}
	}
}

// TestCaseChangesNothing writes each statement in upper and lower case.
func TestCaseChangesNothing(t *testing.T) {
	for _, tt := range classifyTests {
		for _, sql := range []string{strings.ToUpper(tt.sql), strings.ToLower(tt.sql)} {
			if strings.Contains(tt.sql, "*M!") {
				continue
			}
			if got := Classify([]byte(sql), Options{}).String(); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", sql, got, tt.want)
			}
		}
	}
}

func addSeeds(f *testing.F) {
	for _, tt := range classifyTests {
		f.Add([]byte(tt.sql), uint8(0))
		f.Add([]byte(tt.sql), uint8(5))
	}
}

func fuzzOptions(n uint8) Options {
	return Options{NoBackslashEscapes: n&1 != 0, Multibyte: Multibyte(n>>1) % 3}
}

// FuzzClassify looks for panics, and for texts whose effects vanish when another
// statement is put before or behind them.
func FuzzClassify(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, sql []byte, n uint8) {
		opt := fuzzOptions(n)
		s := Classify(sql, opt)
		_ = s.String()
		before := Classify(append([]byte("SELECT 1;"), sql...), opt)
		if before.Effects&s.Effects != s.Effects || before.ReadOnly && !s.ReadOnly && s.Count > 0 {
			t.Errorf("%q: %s, behind a statement: %s", sql, s, before)
		}
		if s.Effects.Has(Unclear) {
			return // the statement behind may be inside of quotes
		}
		behind := Classify(append(sql[:len(sql):len(sql)], "\n;FLUSH TABLES WITH READ LOCK"...), opt)
		if want := s.Effects | GlobalReadLock; behind.Effects&want != want || behind.ReadOnly {
			t.Errorf("%q: %s, before a statement: %s", sql, s, behind)
		}
	})
}

// FuzzExtract looks for panics and bounds in everything off the hot path.
func FuzzExtract(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, sql []byte, n uint8) {
		opt := fuzzOptions(n)
		SessionSets(sql, opt)
		PreparedText(sql, opt)
		DeallocatedName(sql, opt)
		if Conditional(sql, opt) && !bytes.Contains(sql, commentOpen) {
			t.Errorf("%q: conditional without a comment", sql)
		}
		if k, ok := KillTarget(sql, opt); ok && (k.Start >= k.End || k.End > k.Stop || k.More != (k.Stop < len(sql))) {
			t.Errorf("%q: target %d:%d of %d", sql, k.Start, k.End, k.Stop)
		}
		if names, _ := UserVariables(sql, opt); len(names) > MaxUserVariables {
			t.Errorf("%q: %d user variables", sql, len(names))
		}
	})
}
