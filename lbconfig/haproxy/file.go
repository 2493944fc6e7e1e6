// Package haproxy reads haproxy.cfg without losing a byte, says what it means, asks the real program whether it is valid,
// and finds the HAProxy processes of this host. Parsing and meaning are pure; load.go, validator.go, version.go and
// proc.go hold all of its I/O.
package haproxy

import (
	"bytes"
	"fmt"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// MaxWords is how many words HAProxy takes on one line; all of 2.2 to 3.2 refuse a file with more.
const MaxWords = 64

// File is one configuration file as it was typed. Its lines tile the source.
type File struct {
	Source   *lbconfig.Source
	Lines    []Line
	Sections []Section
}

// Line is one line. HAProxy has no line continuation: a backslash at the end is a word of its own (seen on 2.2 to 3.2).
type Line struct {
	Span  lbconfig.Span // all of it, line end included
	Words []Word
	Tail  lbconfig.Span // the comment, or what HAProxy ignores behind a CR or NUL; empty where there is none
	End   lbconfig.Span // "\n", "\r\n", or empty on a last line that has none
}

// Word is one word of a line.
type Word struct {
	Span lbconfig.Span // as typed, with quotes and escapes
	Text string        // decoded; a variable stays as typed until Line.Args expands it
	Vars bool          // holds a variable
}

// Section is a header ("backend web") and the lines below it. Sections inside .if blocks are listed whether or not the
// block is taken; Model decides that.
type Section struct {
	Kind   string // "backend"
	Name   string // empty where there is none
	From   string // the defaults section it names
	Header int    // index of the header in File.Lines
	End    int    // index after the last line
}

// sectionKinds are the words that begin a section in any of HAProxy 2.2 to 3.2.
var sectionKinds = map[string]bool{
	"global": true, "defaults": true, "frontend": true, "backend": true, "listen": true, "peers": true,
	"resolvers": true, "userlist": true, "program": true, "mailers": true, "http-errors": true, "cache": true,
	"ring": true, "fcgi-app": true, "log-forward": true, "log-profile": true, "traces": true, "crt-store": true,
	"namespace_list": true, "acme": true,
}

// Parse reads one file. It always returns a tree that holds every byte; the problems say what HAProxy would refuse to
// cut into words. Whether the words make sense is for the real program to say (Validator).
func Parse(src *lbconfig.Source) (*File, []lbconfig.Problem) {
	f := &File{Source: src}
	if len(src.Bytes) > lbconfig.MaxSource {
		f.Lines = []Line{{Span: lbconfig.Span{End: len(src.Bytes)}, Tail: lbconfig.Span{End: len(src.Bytes)},
			End: lbconfig.Span{Start: len(src.Bytes), End: len(src.Bytes)}}}
		return f, []lbconfig.Problem{{File: src.Path, Severity: lbconfig.Error, Rule: "size",
			Text: fmt.Sprintf("%d bytes, more than the %d that are read", len(src.Bytes), lbconfig.MaxSource)}}
	}
	p := &parser{file: f}
	for at := 0; at < len(src.Bytes); {
		at = p.line(at)
	}
	p.finish()
	return f, p.problems
}

// Print is the whole file, put together from the tree.
func (f *File) Print() []byte {
	out := make([]byte, 0, len(f.Source.Bytes))
	for _, l := range f.Lines {
		at := l.Span.Start
		put := func(s lbconfig.Span) {
			out = append(out, f.Source.Bytes[at:s.Start]...) // blanks between words
			out = append(out, f.Source.Bytes[s.Start:s.End]...)
			at = s.End
		}
		for _, w := range l.Words {
			put(w.Span)
		}
		put(l.Tail)
		put(l.End)
	}
	return out
}

type parser struct {
	file     *File
	problems []lbconfig.Problem
	ifs      []int  // offsets of the open .if directives
	elses    []bool // whether each of them has had its .else
}

func (p *parser) problem(offset int, rule, format string, args ...any) {
	if len(p.problems) == maxProblems {
		return
	}
	at := p.file.Source.Place(offset)
	p.problems = append(p.problems, lbconfig.Problem{File: at.File, Line: at.Line, Col: at.Col,
		Severity: lbconfig.Error, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// maxProblems bounds what a hostile or binary file can make us report.
const maxProblems = 100

// line reads the line that starts at the offset and returns where the next one starts.
func (p *parser) line(start int) int {
	src := p.file.Source.Bytes
	end, next := len(src), len(src)
	if i := bytes.IndexByte(src[start:], '\n'); i >= 0 {
		end, next = start+i, start+i+1
	} else {
		p.problem(end, "line-end", "no line end after the last line: HAProxy from 2.3 on refuses the file as truncated")
	}
	if end > start && src[end-1] == '\r' && next > end {
		end--
	}
	if i := bytes.IndexByte(src[start:end], 0); i >= 0 {
		p.problem(start+i, "binary", "a NUL byte: not a text file")
	}
	words, tail, faults := cut(src, lbconfig.Span{Start: start, End: end}, nil)
	for _, e := range faults {
		p.problem(e.at, "syntax", "%s", e.text)
	}
	l := Line{Span: lbconfig.Span{Start: start, End: next}, Words: words, Tail: tail, End: lbconfig.Span{Start: end, End: next}}
	if len(words) > MaxWords {
		p.problem(words[MaxWords].Span.Start, "syntax", "too many words: HAProxy takes %d on a line", MaxWords)
	}
	p.file.Lines = append(p.file.Lines, l)
	p.structure(l)
	return next
}

// structure keeps the list of sections and the nesting of .if blocks.
func (p *parser) structure(l Line) {
	if len(l.Words) == 0 {
		return
	}
	first := l.Words[0]
	if sectionKinds[first.Text] {
		p.closeSection(len(p.file.Lines) - 1)
		s := Section{Kind: first.Text, Header: len(p.file.Lines) - 1}
		s.Name, s.From = header(texts(l.Words))
		p.file.Sections = append(p.file.Sections, s)
		return
	}
	switch depth := len(p.ifs); first.Text {
	case ".if":
		p.ifs, p.elses = append(p.ifs, first.Span.Start), append(p.elses, false)
	case ".elif", ".else":
		if depth == 0 {
			p.problem(first.Span.Start, "syntax", "%s without .if", first.Text)
		} else if p.elses[depth-1] {
			p.problem(first.Span.Start, "syntax", "%s after .else", first.Text)
		} else {
			p.elses[depth-1] = first.Text == ".else"
		}
	case ".endif":
		if depth == 0 {
			p.problem(first.Span.Start, "syntax", ".endif without .if")
			return
		}
		p.ifs, p.elses = p.ifs[:depth-1], p.elses[:depth-1]
	}
}

// header reads "KIND [NAME] [from DEFAULTS]".
func header(words []string) (name, from string) {
	rest := words[1:]
	if len(rest) > 0 && (rest[0] != "from" || words[0] != "defaults") {
		name, rest = rest[0], rest[1:]
	}
	if len(rest) > 1 && rest[0] == "from" {
		from = rest[1]
	}
	return name, from
}

func (p *parser) closeSection(end int) {
	if n := len(p.file.Sections); n > 0 && p.file.Sections[n-1].End == 0 {
		p.file.Sections[n-1].End = end
	}
}

func (p *parser) finish() {
	p.closeSection(len(p.file.Lines))
	for _, at := range p.ifs {
		p.problem(at, "syntax", ".if without .endif")
	}
}

func texts(words []Word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.Text
	}
	return out
}
