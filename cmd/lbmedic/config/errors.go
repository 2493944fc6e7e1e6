package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/lbmedic/lbmedic/cmd/lbmedic/cells"
)

// Error is one mistake in a file.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1
	Col     int    `json:"col"`  // from 1, in characters
	Message string `json:"message"`
	Source  string `json:"-"` // the line as it is in the file
}

// Error is the form that editors and CI systems parse: file:line:col: message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
}

// maxExcerpt is how many columns of the source line an excerpt shows.
const maxExcerpt = 120

// Excerpt is the source line with a caret under the place, two lines; empty where the line is empty. Characters that
// could steer a terminal are replaced.
func (e *Error) Excerpt() string {
	if strings.TrimSpace(e.Source) == "" {
		return ""
	}
	line := []rune(e.Source)
	start := 0
	if e.Col > maxExcerpt-20 { // the place would be cut off: begin a little before it
		start = min(len(line), e.Col-20)
	}
	end := min(len(line), start+maxExcerpt)
	var shown, pad strings.Builder
	for i := start; i < end; i++ {
		r := line[i]
		if r == '\t' {
			r = ' '
		} else if !unicode.IsPrint(r) {
			r = '·'
		}
		shown.WriteRune(r)
		if i < e.Col-1 {
			pad.WriteString(strings.Repeat(" ", cells.Rune(r)))
		}
	}
	gutter := fmt.Sprintf("%5d | ", e.Line)
	return gutter + strings.TrimRight(shown.String(), " ") + "\n" + strings.Repeat(" ", len(gutter)-2) + "| " + pad.String() + "^"
}

// Errors are all mistakes of a file in the order of their places; never empty when returned as an error.
type Errors []*Error

// Error has one line for each mistake.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each mistake.
func (es Errors) Unwrap() []error {
	all := make([]error, len(es))
	for i, e := range es {
		all[i] = e
	}
	return all
}

// Report is what a person reads: each mistake with the line it is in.
func (es Errors) Report() string {
	var b strings.Builder
	for _, e := range es {
		b.WriteString(e.Error() + "\n")
		if x := e.Excerpt(); x != "" {
			b.WriteString(x + "\n")
		}
	}
	return b.String()
}

// sorted orders by place and drops what was said twice, such as a wrong value that two rules read.
func (es Errors) sorted() Errors {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.CompactFunc(es, func(a, b *Error) bool { return *a == *b })
}

// quote makes a word of the file fit for one line of a message.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}
