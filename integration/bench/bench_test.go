package main

import (
	"strings"
	"testing"
	"time"
)

func packet(seq byte, payload string) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}, payload...)
}

// TestResultReader feeds both shapes of a result in pieces of every size.
func TestResultReader(t *testing.T) {
	eof, ok := "\xfe\x00\x00\x02\x00", "\xfe\x00\x00\x02\x00\x00\x00"
	for name, payloads := range map[string][]string{
		"with an EOF after the definition": {"\x01", "\x03def", eof, "\x02ab", "\x02cd", eof},
		"without":                          {"\x01", "\x03def", "\x02ab", "\x02cd", ok},
	} {
		var all []byte
		for i, p := range payloads {
			all = append(all, packet(byte(i), p)...)
		}
		for step := 1; step <= len(all); step++ {
			var r resultReader
			var held []byte
			done := false
			for from := 0; from < len(all); from += step {
				var err error
				held = append(held, all[from:min(from+step, len(all))]...)
				if held, done, err = r.feed(held); err != nil {
					t.Fatalf("%s, %d bytes at once: %v", name, step, err)
				}
			}
			if !done || r.rows != 2 {
				t.Errorf("%s, %d bytes at once: done %t after %d rows, want true after 2", name, step, done, r.rows)
			}
		}
	}
	if _, _, err := new(resultReader).feed(packet(1, "\xff\x15\x04#28000no")); err == nil {
		t.Error("an ERR packet is taken for a result")
	}
}

const summary = `SQL statistics:
    queries performed:
        read:                            1000
        total:                           1000
    transactions:                        1000   (500.00 per sec.)
    queries:                             1000   (500.00 per sec.)
    ignored errors:                      0      (0.00 per sec.)
Latency (ms):
         99th percentile:                        1.25
`

func TestPointSamples(t *testing.T) {
	used := cost{took: 2 * time.Second, cpu: 30 * time.Millisecond, mallocs: 500}
	got, err := pointSamples(summary, used, &target{proc: 1, admin: "x"})
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{500, 1.25, 30, 0.5}
	for i, s := range got {
		if s.value != want[i] {
			t.Errorf("%s is %v, want %v", s.name, s.value, want[i])
		}
	}
	if _, err := pointSamples(strings.Replace(summary, "errors:                      0", "errors: 3", 1), used, &target{}); err == nil {
		t.Error("a run with errors is accepted")
	}
}

// TestTable checks that ratios are taken within a round and that a median over its bar is reported.
func TestTable(t *testing.T) {
	var tab table
	for _, v := range [][2]float64{{10, 20}, {100, 110}, {10, 17}} {
		tab.add("load", [targets]samples{haproxy: {{name: "CPU", value: v[0], bar: 1.6}}, onewriter: {{name: "CPU", value: v[1], bar: 1.6}}})
	}
	var rep report
	rep.add("servers", &tab)
	lines := rep.Sections[0].Lines
	if len(lines) != 1 || lines[0].Ratio == nil || *lines[0].Ratio != (spread{1.7, 1.1, 2}) || !lines[0].Over {
		t.Errorf("lines are %+v", lines)
	}
	var text strings.Builder
	if err := rep.print(&text); err != nil || !strings.Contains(text.String(), "| load: CPU | servers | <= 1.6 x HAProxy | 1.70 [1.10-2.00] | **not met** |") {
		t.Errorf("%v\n%s", err, text.String())
	}
}
