package config

import (
	"errors"
	"strings"
	"testing"
)

func TestTheCaretStandsUnderThePlace(t *testing.T) {
	long := strings.Repeat("x", 300) + "here" + strings.Repeat("y", 300)
	cases := map[string]struct {
		source string
		col    int
		want   string
	}{
		"plain":         {"a: b", 4, "    7 | a: b\n      |    ^"},
		"wide":          {"日本: b", 5, "    7 | 日本: b\n      |       ^"},
		"combining":     {"e\u0301: b", 5, "    7 | e\u0301: b\n      |    ^"},
		"tab":           {"\ta: b", 5, "    7 |  a: b\n      |     ^"},
		"after the end": {"a:", 3, "    7 | a:\n      |   ^"},
		"hostile":       {"\x1b[2J: b", 7, "    7 | ·[2J: b\n      |       ^"},
		"nothing":       {"  ", 1, ""},
		"far right": {long, 301, "    7 | " + strings.Repeat("x", 19) + "here" + strings.Repeat("y", 97) +
			"\n      | " + strings.Repeat(" ", 19) + "^"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := &Error{File: "f", Line: 7, Col: c.col, Message: "m", Source: c.source}
			if got := e.Excerpt(); got != c.want {
				t.Errorf("excerpt\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAThousandMistakesAreNotAllListed(t *testing.T) {
	_, err := Parse("f", []byte(strings.Repeat("a: b\n", 3000)))
	var mistakes Errors
	if !errors.As(err, &mistakes) || len(mistakes) != maxErrors+1 {
		t.Fatalf("%d mistakes", len(mistakes))
	}
	if last := mistakes[maxErrors]; !strings.Contains(last.Message, "more mistakes from here on") || last.Line != maxErrors+1 ||
		!strings.HasPrefix(last.Message, "2900 ") {
		t.Errorf("last: %v", last)
	}
	var one *Error
	if !errors.As(err, &one) || one.Line != 1 {
		t.Errorf("errors.As finds %v", one)
	}
}
