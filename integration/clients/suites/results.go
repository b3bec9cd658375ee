package main

import (
	"bufio"
	_ "embed" // for known
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// results tell of each test whether it passed. A test that ran several times has passed if it always has.
type results map[string]bool

// readResults reads lines "pass NAME" and "fail NAME"; a file that is not there has none.
func readResults(path string) (results, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r := results{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		verdict, name, ok := strings.Cut(lines.Text(), " ")
		if !ok || verdict != "pass" && verdict != "fail" {
			return nil, fmt.Errorf("the line %q in RESULTS is neither \"pass NAME\" nor \"fail NAME\"", lines.Text())
		}
		before, again := r[name]
		r[name] = verdict == "pass" && (before || !again)
	}
	return r, lines.Err()
}

func (r results) String() string {
	passed := 0
	for _, ok := range r {
		if ok {
			passed++
		}
	}
	return fmt.Sprintf("%d tests passed, %d failed", passed, len(r)-passed)
}

// known lists tests that have to fail through onewriter: "NAME # reason" a line.
//
//go:embed known.txt
var known string

// reasons gives the reason of each test in a list such as known.
func reasons(list string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(list) {
		if name, reason, ok := strings.Cut(strings.TrimSpace(line), " # "); ok {
			m[name] = reason
		}
	}
	return m
}

// against names the tests that pass directly and not in r, and are not expected to fail there.
func (r results) against(direct results, expected map[string]string) error {
	var worse []string
	for _, name := range slices.Sorted(maps.Keys(direct)) {
		switch ok, ran := r[name]; {
		case direct[name] && !ok && expected[name] != "":
			fmt.Printf("fails through onewriter, as expected: %s: %s\n", name, expected[name])
		case direct[name] && !ran:
			worse = append(worse, name+" (did not run)")
		case direct[name] && !ok:
			worse = append(worse, name)
		case !direct[name] && ok:
			fmt.Println("fails directly only:", name)
		}
	}
	if len(worse) > 0 {
		return fmt.Errorf("%d tests fail through onewriter only:\n  %s", len(worse), strings.Join(worse, "\n  "))
	}
	return nil
}
