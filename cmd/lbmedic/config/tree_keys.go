package config

import "github.com/goccy/go-yaml/token"

// openMappings are the mappings of lines that may go on, the innermost last, each with the column that its keys begin in and how many
// it had so far: more keys than one really has where a list holds several, never fewer.
type openMappings struct {
	open         []mapping
	line, column int // where the last line outside of brackets begins, after the dashes of lists
	pairs        int // of keys in one mapping, over all so far: what reading them costs
}

type mapping struct{ column, keys int }

// seen takes the next token that is not within brackets.
func (m *openMappings) seen(t *token.Token) {
	at := t.Position
	goesOn := t.Type == token.MappingValueType && at.Column > at.IndentNum+1 // after a key or a bracket that began on a line before
	if at.Line != m.line && t.Type != token.SequenceEntryType && !goesOn {
		m.line, m.column = at.Line, at.Column
	}
	if t.Type != token.MappingValueType {
		return
	}
	last := len(m.open) - 1
	for last >= 0 && m.open[last].column > m.column {
		last--
	}
	m.open = m.open[:last+1]
	if last < 0 || m.open[last].column < m.column {
		m.open = append(m.open, mapping{column: m.column})
		last++
	}
	m.pairs += m.open[last].keys
	m.open[last].keys++
}
