package nginx

import (
	"fmt"
	"strings"
	"unicode"
)

// clip keeps a name from outside short enough for one line.
func clip(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%q…", s[:60])
	}
	return fmt.Sprintf("%q", s)
}

// oneLine keeps a text from outside on one line, of a length for people, and harmless to a terminal.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	const longest = 1000
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}
