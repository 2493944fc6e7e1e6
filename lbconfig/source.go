// Package lbconfig is what the configuration of every load balancer has in common: a source whose bytes are kept, places
// in it, edits by span, and the problems found in it. It is pure: bytes in, values out.
package lbconfig

import (
	"fmt"
	"slices"
	"sort"
)

// MaxSource is the largest configuration file that is read, in bytes. A larger one is refused unread.
const MaxSource = 16 << 20

// Source is one configuration file as it was read.
type Source struct {
	Path  string
	Bytes []byte
	lines []int // offset of each line's first byte
}

// NewSource takes ownership of data.
func NewSource(path string, data []byte) *Source {
	s := &Source{Path: path, Bytes: data, lines: []int{0}}
	for i, b := range data {
		if b == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// Span is a run of bytes of one source: [Start, End).
type Span struct{ Start, End int }

// Len is the number of bytes in the span.
func (s Span) Len() int { return s.End - s.Start }

// Text is what the span holds.
func (s *Source) Text(span Span) string { return string(s.Bytes[span.Start:span.End]) }

// Place is where a byte stands, for people: line and column count from 1, the column in bytes.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
}

func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Place says where the byte at offset stands. An offset past the end stands behind the last byte.
func (s *Source) Place(offset int) Place {
	offset = max(0, min(offset, len(s.Bytes)))
	line := sort.SearchInts(s.lines, offset+1) // number of lines that start at or before offset
	return Place{File: s.Path, Line: line, Col: offset - s.lines[line-1] + 1}
}

// Line is the text of line n (from 1) without its line end, and empty where there is no such line.
func (s *Source) Line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	end := len(s.Bytes)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	start := s.lines[n-1]
	if end > start && s.Bytes[end-1] == '\r' {
		end--
	}
	return string(s.Bytes[start:end])
}

// Edit replaces one span by Text. An empty span inserts, an empty text deletes.
type Edit struct {
	Span Span
	Text string
}

// Splice applies edits to the source and returns the new bytes; the source itself stays as it is. No edit gives the
// same bytes. Edits may come in any order; two that overlap, or one outside the source, are an error.
func (s *Source) Splice(edits ...Edit) ([]byte, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return a.Span.Start - b.Span.Start })
	out := make([]byte, 0, len(s.Bytes))
	at := 0
	for _, e := range edits {
		if e.Span.Start < at || e.Span.End < e.Span.Start || e.Span.End > len(s.Bytes) {
			return nil, fmt.Errorf("edit %s: bytes %d to %d overlap another edit or lie outside its %d bytes",
				s.Path, e.Span.Start, e.Span.End, len(s.Bytes))
		}
		out = append(out, s.Bytes[at:e.Span.Start]...)
		out = append(out, e.Text...)
		at = e.Span.End
	}
	return append(out, s.Bytes[at:]...), nil
}
