package lbconfig

import (
	"testing"

	"pgregory.net/rapid"
)

func TestPlace(t *testing.T) {
	src := NewSource("f", []byte("one\r\ntwo\n\nfour"))
	tests := map[string]struct {
		offset, line, col int
		text              string
	}{
		"first byte":     {0, 1, 1, "one"},
		"the line end":   {4, 1, 5, "one"},
		"second line":    {5, 2, 1, "two"},
		"empty line":     {9, 3, 1, ""},
		"last line":      {12, 4, 3, "four"},
		"behind the end": {99, 4, 5, "four"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := src.Place(tt.offset)
			if p.Line != tt.line || p.Col != tt.col || src.Line(p.Line) != tt.text {
				t.Errorf("got %v with text %q", p, src.Line(p.Line))
			}
		})
	}
}

func TestSpliceTouchesOnlyItsSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := NewSource("f", []byte(rapid.String().Draw(t, "source")))
		start := rapid.IntRange(0, len(src.Bytes)).Draw(t, "start")
		end := rapid.IntRange(start, len(src.Bytes)).Draw(t, "end")
		text := rapid.String().Draw(t, "text")
		got, err := src.Splice(Edit{Span{start, end}, text})
		want := string(src.Bytes[:start]) + text + string(src.Bytes[end:])
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v", got, err)
		}
	})
}

func TestSpliceRefusesOverlap(t *testing.T) {
	src := NewSource("f", []byte("0123456789"))
	for name, edits := range map[string][]Edit{
		"overlap":  {{Span{2, 5}, "x"}, {Span{4, 6}, "y"}},
		"outside":  {{Span{8, 11}, "x"}},
		"reversed": {{Span{5, 4}, "x"}},
	} {
		if got, err := src.Splice(edits...); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestProblemPrintsForEditors(t *testing.T) {
	p := Problem{File: "haproxy.cfg", Line: 3, Severity: Warning, Rule: "haproxy", Text: "no check"}
	if got := p.String(); got != "haproxy.cfg:3:1: warning haproxy: no check" {
		t.Error(got)
	}
}
