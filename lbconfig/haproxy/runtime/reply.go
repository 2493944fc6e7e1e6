package runtime

import (
	"bytes"
	"strings"
)

// errorLine recognises what HAProxy writes instead of data: with the severity prefix "[3]: No such server.", or, where
// no prefix was asked for, some well-known words.
func errorLine(line []byte) (words string, ok bool) {
	if severity, words, ok := cutSeverity(string(line)); ok {
		return words, severity <= severityWarning || strings.HasPrefix(words, "Unknown command")
	}
	for _, known := range []string{"Unknown command", "Permission denied", "Can't find"} {
		if bytes.HasPrefix(line, []byte(known)) {
			return oneLine(string(line)), true
		}
	}
	return "", false
}

const severityWarning = 4

// cutSeverity takes "[3]: " off a text.
func cutSeverity(text string) (severity int, words string, ok bool) {
	if len(text) < 4 || text[0] != '[' || text[1] < '0' || text[1] > '7' || text[2] != ']' || text[3] != ':' {
		return 0, text, false
	}
	return int(text[1] - '0'), oneLine(strings.TrimPrefix(text[4:], " ")), true
}

// oneLine keeps the first line of HAProxy's words, short and printable.
func oneLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, text)
	if len(text) > 200 {
		text = text[:200]
	}
	return text
}
