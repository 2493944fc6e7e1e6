package main

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/cells"
)

func TestColumnsAlignByWhatATerminalShows(t *testing.T) {
	list := &table{head: []string{"server", "state", "why"}}
	list.add("web/app1", cell{"UP", green}, nil)
	list.add("web/日本", cell{"DOWN", red}, "check: refused")
	list.add("web/e\u0301", "MAINT", "deploy\n2")
	list.add("web/x\x1b[31m\u202e", "?", "")
	want := strings.Join([]string{
		"SERVER       STATE  WHY",
		"web/app1     UP",
		"web/日本     DOWN   check: refused",
		"web/e\u0301        MAINT  deploy 2",
		"web/x·[31m·  ?",
		"",
	}, "\n")
	var b bytes.Buffer
	if err := list.write(&b, false); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("printed\n%swant\n%s", b.String(), want)
	}
}

func TestColoursDoNotMoveColumns(t *testing.T) {
	list := &table{head: []string{"a", "b"}}
	list.add(cell{"x", red}, "1")
	list.add("longer", "2")
	var b bytes.Buffer
	if err := list.write(&b, true); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[1mA\x1b[0m       \x1b[1mB\x1b[0m\n\x1b[31mx\x1b[0m       1\nlonger  2\n"
	if b.String() != want {
		t.Errorf("printed %q, want %q", b.String(), want)
	}
}

// Whatever the cells hold, each row is one line, its last column begins where the head's does, and nothing in it
// steers the terminal.
func TestAnyTextStaysInItsColumn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.String(), 1, 8).Draw(t, "texts")
		list := &table{head: []string{"text", "end"}}
		for _, text := range texts {
			list.add(text, "|")
		}
		var b bytes.Buffer
		if err := list.write(&b, false); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != len(texts)+1 {
			t.Fatalf("%d lines for %d rows: %q", len(lines), len(texts), lines)
		}
		column := cells.Width(strings.TrimSuffix(lines[0], "END"))
		for _, line := range lines[1:] {
			if strings.ContainsRune(line, '\x1b') || cells.Width(strings.TrimSuffix(line, "|")) != column {
				t.Fatalf("%q: column %d, want %d", line, cells.Width(strings.TrimSuffix(line, "|")), column)
			}
		}
	})
}
