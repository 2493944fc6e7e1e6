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

// maxKeys is how many keys a mapping of lines may have: the YAML parser takes quadratic time in them (200,000: 88 s; 20,000: 0.6 s), and all mappings
// of a file together may take as much. In braces it does not.
const maxKeys = 20_000

// maxTokens is how many words and signs a file may have: those of 10,000 checks with eight keys each.
const maxTokens = 500_000

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

// tooMuch finds what the parser must not see: many keys, and nesting by brackets, by "- - -" and "? ? ?" on one line,
// by deep indentation.
func tooMuch(tokens token.Tokens) (at place, what string) {
	if len(tokens) > maxTokens {
		return placeOf(tokens[maxTokens]), "more than this is no configuration"
	}
	brackets, entries, line := 0, 0, 0
	var mappings openMappings
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		if brackets == 0 {
			mappings.seen(t)
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets = max(0, brackets-1)
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			if brackets == 0 {
				entries++
			}
		}
		switch {
		case brackets > maxDepth || entries > maxDepth || t.Position.IndentNum > maxIndent:
			return placeOf(t), fmt.Sprintf("nested more than %d deep", maxDepth)
		case mappings.pairs > maxKeys*maxKeys/2:
			return placeOf(t), fmt.Sprintf("more keys than can be read in time; %d in one section are the most", maxKeys)
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
