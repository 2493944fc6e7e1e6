package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/cells"
)

// A table is rows under a head, aligned by what a terminal shows of them.
type table struct {
	head []string
	rows [][]cell
}

// A cell is a text with a colour, which terminals get and files do not.
type cell struct {
	text   string
	colour colour
}

// colour is a way to draw a cell. The zero value is plain.
type colour string

const (
	plainText colour = ""
	bold      colour = "1"
	dim       colour = "2"
	red       colour = "31"
	green     colour = "32"
	yellow    colour = "33"
)

// add appends a row. A value is a cell, or anything that fmt prints; nil is an empty cell.
func (t *table) add(values ...any) {
	row := make([]cell, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case nil:
		case cell:
			row[i] = v
		default:
			row[i] = cell{text: fmt.Sprint(v)}
		}
	}
	t.rows = append(t.rows, row)
}

// gap is between two columns.
const gap = "  "

// write prints the table: a head in capitals, columns as wide as their widest cell, no blanks at the end of a line.
func (t *table) write(w io.Writer, coloured bool) error {
	head := make([]cell, len(t.head))
	for i, h := range t.head {
		head[i] = cell{strings.ToUpper(h), bold}
	}
	lines := t.rows
	if len(head) > 0 {
		lines = append([][]cell{head}, t.rows...)
	}
	var widths []int
	for _, line := range lines {
		for i, c := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], cells.Width(plain(c.text)))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(row(line, widths, coloured) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func row(line []cell, widths []int, coloured bool) string {
	var b strings.Builder
	blanks := 0
	for i, c := range line {
		text := plain(c.text)
		if text != "" {
			b.WriteString(strings.Repeat(" ", blanks))
			blanks = 0
			if coloured && c.colour != plainText {
				b.WriteString("\x1b[" + string(c.colour) + "m" + text + "\x1b[0m")
			} else {
				b.WriteString(text)
			}
		}
		blanks += widths[i] - cells.Width(text) + len(gap)
	}
	return b.String()
}

// plain makes a text from outside harmless for a terminal: control characters, escape sequences and characters that
// turn the direction of writing are replaced, line breaks and tabs become blanks.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == unicode.ReplacementChar:
			return '·'
		}
		return r
	}, text)
}

// print writes value as JSON or, for people, the table that asTable makes of it.
func (a *app) print(value any, asTable func() *table) error {
	if a.json() {
		return a.printJSON(value)
	}
	return asTable().write(a.stdout, a.colour())
}

// printJSON writes one JSON document, indented.
func (a *app) printJSON(value any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
