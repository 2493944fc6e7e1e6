package healthd

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxDetail bounds the detail of an outcome, in bytes.
const MaxDetail = 200

// Line makes text from outside fit for a log, a header, an agent-check answer and a terminal: one line of printable ASCII of at most
// limit bytes. Anything else is written as \n, \r, \t, \xNN or \u{N}; a text that was cut ends in "...". Applying it twice changes nothing.
func Line(text string, limit int) string {
	if plain(text) && len(text) <= limit {
		return text
	}
	const cut = "..."
	if limit < len(cut) {
		return ""
	}
	var b strings.Builder
	whole := 0 // how much of b still leaves room for the mark of a cut
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		piece := escape(r, text[i:i+size])
		if b.Len()+len(piece) > limit {
			return b.String()[:whole] + cut
		}
		b.WriteString(piece)
		if b.Len() <= limit-len(cut) {
			whole = b.Len()
		}
		i += size
	}
	return b.String()
}

func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func escape(r rune, raw string) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r == utf8.RuneError && len(raw) == 1, r < ' ', r == 0x7f:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case r > '~':
		return fmt.Sprintf(`\u{%x}`, r)
	}
	return raw
}
