package haproxy

import (
	"strconv"
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Env looks a variable up. The names ".FILE", ".LINE" and ".SECTION" are HAProxy's own.
type Env func(name string) (value string, ok bool)

// Args are the line's words as HAProxy's keywords see them: variables expanded, "${LIST[*]}" cut at its blanks, and
// nothing behind an empty word, which ends the list on every version (3.2 warns about it). A word's span is the place in the
// source where it begins.
func (l Line) Args(src *lbconfig.Source, env Env) []Word {
	words := l.Words
	for _, w := range words {
		if w.Vars {
			words, _, _ = cut(src.Bytes, lbconfig.Span{Start: l.Span.Start, End: l.End.Start}, env)
			break
		}
	}
	for i, w := range words {
		if w.Text == "" {
			return words[:i]
		}
	}
	return words
}

type fault struct {
	at   int
	text string
}

// cutter follows parse_line of HAProxy, whose choices were compared on the real program (words_test.go). What differs
// from the manual: a backslash before a tab is no escape, and `\$` is one only between double quotes.
type cutter struct {
	src    []byte
	at     int
	end    int
	env    Env // nil keeps variables as they were typed
	words  []Word
	faults []fault

	word  Word
	text  []byte
	open  bool // inside a word
	quote byte // the open quote, or 0
	from  int  // where it was opened
}

// cut splits a line (without its line end) into words and the tail that HAProxy ignores.
func cut(src []byte, line lbconfig.Span, env Env) (words []Word, tail lbconfig.Span, faults []fault) {
	c := &cutter{src: src, at: line.Start, end: line.End, env: env}
	for c.at < c.end && c.step() {
	}
	if c.quote != 0 {
		c.fault(c.from, "unmatched quote")
	}
	c.close()
	tail = lbconfig.Span{Start: c.at, End: line.End}
	return c.words, tail, c.faults
}

// step reads one character or escape; false means that HAProxy reads no further.
func (c *cutter) step() bool {
	switch b := c.src[c.at]; {
	case b == 0 || b == '\r' || b == '#' && c.quote == 0:
		return false
	case c.quote == 0 && blank(b):
		c.close()
		c.at++
	case b == '"' && c.quote != '\'' || b == '\'' && c.quote != '"':
		c.begin()
		if c.quote == 0 {
			c.quote, c.from = b, c.at
		} else {
			c.quote = 0
		}
		c.at++
	case b == '\\' && c.quote != '\'':
		c.begin()
		c.escape()
	case b == '$' && c.quote == '"':
		c.begin()
		c.variable()
	default:
		c.begin()
		c.text = append(c.text, b)
		c.at++
	}
	return true
}

// blank is isspace without the line ends, which stop the line.
func blank(b byte) bool { return b == ' ' || b == '\t' || b == '\v' || b == '\f' }

func (c *cutter) begin() {
	if !c.open {
		c.open, c.word, c.text = true, Word{Span: lbconfig.Span{Start: c.at}}, c.text[:0]
	}
}

// close ends the open word, if any, before the present character.
func (c *cutter) close() {
	if !c.open {
		return
	}
	c.word.Span.End = c.at
	c.word.Text, _, _ = strings.Cut(string(c.text), "\x00") // `\x00` ends the word where HAProxy's C string ends
	c.words = append(c.words, c.word)
	c.open = false
}

func (c *cutter) fault(at int, text string) { c.faults = append(c.faults, fault{at, text}) }

// peek is the character n behind the present one, or 0.
func (c *cutter) peek(n int) byte {
	if c.at+n < c.end {
		return c.src[c.at+n]
	}
	return 0
}

func (c *cutter) escape() {
	out, used := byte('\\'), 1
	switch b := c.peek(1); b {
	case ' ', '\\', '#', '\'', '"':
		out, used = b, 2
	case '$':
		if c.quote == '"' {
			out, used = b, 2
		}
	case 't':
		out, used = '\t', 2
	case 'n':
		out, used = '\n', 2
	case 'r':
		out, used = '\r', 2
	case 'x':
		n, err := strconv.ParseUint(string(c.src[min(c.at+2, c.end):min(c.at+4, c.end)]), 16, 8)
		if err != nil || c.at+4 > c.end {
			c.fault(c.at+2, "truncated or invalid hexadecimal sequence")
		} else {
			out, used = byte(n), 4
		}
	}
	c.text = append(c.text, out)
	c.at += used
}
