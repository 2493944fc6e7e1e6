package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth is how deep sections and lists may nest. The schema needs 7; the YAML parser takes quadratic time in depth
// (52,000 nested lists of one line: 11 s), so deeper files are refused before they reach it.
const maxDepth = 32

// maxKeys is how many keys a file may have: the YAML parser takes quadratic time in the keys of one mapping
// (200,000: 88 s; 20,000: 0.6 s).
const maxKeys = 20_000

// maxSyntaxErrors is how often a broken line is set aside to look for mistakes after it.
const maxSyntaxErrors = 16

// parseTree turns the text into the nodes of its one document. A line that is no YAML is reported and set aside with
// the lines indented below it, and reading goes on; whole says that this did not happen. Body is nil where nothing
// could be read.
func (s *source) parseTree() (body ast.Node, whole bool) {
	lines := slices.Clone(s.lines)
	for range maxSyntaxErrors {
		tokens := lexer.Tokenize(strings.Join(lines, "\n") + "\n")
		if at, what := tooMuch(tokens); what != "" {
			s.errorf(at, "%s", what)
			return nil, false
		}
		doc, err := parseTokens(tokens)
		if err == nil {
			return s.oneDocument(doc), len(s.errs) == 0
		}
		var syntax *yaml.SyntaxError
		if !errors.As(err, &syntax) || syntax.Token == nil || syntax.Token.Position == nil {
			s.errorf(place{1, 1}, "not readable as YAML: %s", oneLine(err.Error()))
			return nil, false
		}
		at := placeOf(syntax.Token)
		at.line = min(max(at.line, 1), len(lines))
		if s.mendTabs(lines, at) {
			continue
		}
		message := syntaxMessage(syntax.Message)
		if open := unclosed(tokens, at); open != nil {
			at, message = placeOf(open), "a "+open.Value+" without its "+closing[open.Value]
		}
		s.errorf(at, "%s", message)
		if !setAside(lines, at.line-1) {
			return nil, false
		}
	}
	return nil, false
}

// parseTokens keeps a panic of the YAML parser from ending the daemon.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			file, err = nil, errors.New("the YAML parser gave up")
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

func (s *source) oneDocument(file *ast.File) ast.Node {
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			s.errorf(firstPlace(doc.Body), "a second document; the configuration is one document, without ---")
			break
		}
		body = doc.Body
	}
	return body
}

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

// tooMuch finds what the parser must not see: many keys, and nesting by brackets, by "- - -" and "? ? ?" on one line,
// by deep indentation.
func tooMuch(tokens token.Tokens) (at place, what string) {
	keys, brackets, entries, line := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets = max(0, brackets-1)
		case token.MappingValueType:
			keys++
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			if brackets == 0 {
				entries++
			}
		}
		switch {
		case brackets > maxDepth || entries > maxDepth || t.Position.IndentNum > maxIndent:
			return placeOf(t), fmt.Sprintf("nested more than %d deep", maxDepth)
		case keys > maxKeys:
			return placeOf(t), fmt.Sprintf("more than %d keys", maxKeys)
		}
	}
	return place{}, ""
}

// maxIndent is how many spaces a line may be indented.
const maxIndent = 256

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{t.Position.Line, t.Position.Column}
}

// firstPlace is where a value begins: the parser gives a block mapping the place of its first colon.
func firstPlace(n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return firstPlace(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return firstPlace(n.Key)
	case *ast.LiteralNode:
		return placeOf(n.Start)
	}
	if n == nil {
		return place{1, 1}
	}
	return placeOf(n.GetToken())
}

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
