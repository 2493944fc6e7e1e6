package config

import (
	"strings"

	"github.com/goccy/go-yaml/token"
)

// mendTabs replaces tabs in the indentation, reporting the first, and says whether there were any at that line.
func (s *source) mendTabs(lines []string, at place) bool {
	body := strings.TrimLeft(lines[at.line-1], " \t")
	lead := lines[at.line-1][:len(lines[at.line-1])-len(body)]
	tab := strings.IndexByte(lead, '\t')
	if tab < 0 {
		return false
	}
	more := 0
	for i, line := range lines {
		body := strings.TrimLeft(line, " \t")
		lead := line[:len(line)-len(body)]
		if !strings.Contains(lead, "\t") {
			continue
		}
		if i != at.line-1 {
			more++
		}
		spaces := strings.ReplaceAll(lead, "\t", "  ")
		lines[i] = spaces + body
		s.indent[i+1] = len(spaces) - len(lead)
	}
	at.col = tab + 1 + s.indent[at.line]
	hint := ""
	if more > 0 {
		hint = ", here and on other lines"
	}
	s.errorf(at, "a tab in the indentation%s; YAML indents with spaces", hint)
	return true
}

var closing = map[string]string{"[": "]", "{": "}"}

// unclosed is the innermost bracket that was opened on a line before the error and is still open there: it, not the
// place where the parser noticed, is what to mend.
func unclosed(tokens token.Tokens, at place) *token.Token {
	var open []*token.Token
	for _, t := range tokens {
		if !placeOf(t).before(at) {
			break
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open = append(open, t)
		case token.SequenceEndType, token.MappingEndType:
			open = open[:max(0, len(open)-1)]
		}
	}
	if len(open) == 0 || open[len(open)-1].Position.Line >= at.line {
		return nil
	}
	return open[len(open)-1]
}

// setAside empties a line and what is indented below it; false where it was empty already.
func setAside(lines []string, i int) bool {
	if strings.TrimSpace(lines[i]) == "" {
		return false
	}
	depth := indentOf(lines[i])
	lines[i] = ""
	for i++; i < len(lines) && (strings.TrimSpace(lines[i]) == "" || indentOf(lines[i]) > depth); i++ {
		lines[i] = ""
	}
	return true
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// syntaxMessages says in words what the parser says in its own.
var syntaxMessages = []struct{ part, text string }{
	{"could not find end character of double-quoted", `a " without its partner`},
	{"could not find end character of single-quoted", "a ' without its partner"},
	{"sequence end token ']' not found", "a [ without its ]"},
	{"could not find flow map end", "a { without its }"},
	{"mapping end token '}' not found", "a { without its }"},
	{"',' or ']' must be specified", "a , or ] is missing before this"},
	{"',' or '}' must be specified", "a , or } is missing before this"},
	{"mapping value is not allowed in this context", "a second `key: value` on one line; quote the value if the colon belongs to it"},
	{"value is not allowed in this context", "does not fit here; is the indentation right?"},
	{"unexpected key name", "a key without its colon"},
	{"non-map value is specified", "a value where a `key: value` belongs"},
}

func syntaxMessage(theirs string) string {
	for _, m := range syntaxMessages {
		if strings.Contains(theirs, m.part) {
			return m.text
		}
	}
	return "not YAML: " + oneLine(theirs)
}

func oneLine(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.Trim(strings.ReplaceAll(first, "\t", `\t`), " ")
}
