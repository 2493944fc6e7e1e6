package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// source is a file's text with its mistakes so far.
type source struct {
	file   string
	lines  []string // as they are in the file, without line ends
	errs   Errors
	indent map[int]int // by line, how many columns the repair of a tab has added at its start
}

// maxErrors is how many mistakes are listed, since nobody mends more in one go, and keptErrors how many are looked for.
const (
	maxErrors  = 100
	keptErrors = 50_000
)

func newSource(file string, data []byte) *source {
	s := &source{file: file, indent: map[int]int{}}
	for line := range strings.Lines(string(data)) {
		s.lines = append(s.lines, strings.TrimRight(line, "\r\n"))
	}
	return s
}

// errorf reports a mistake. The place is forced into the file, so that an editor can always go there.
func (s *source) errorf(at place, format string, args ...any) {
	if len(s.errs) >= keptErrors {
		return
	}
	e := &Error{File: s.file, Line: max(1, min(at.line, len(s.lines))), Message: fmt.Sprintf(format, args...)}
	if e.Line <= len(s.lines) {
		e.Source = s.lines[e.Line-1]
	}
	e.Col = max(1, min(at.col-s.indent[e.Line], utf8.RuneCountInString(e.Source)+1))
	s.errs = append(s.errs, e)
}

// result is what Parse returns: nil, or the mistakes in order.
func (s *source) result() error {
	if len(s.errs) == 0 {
		return nil
	}
	es := s.errs.sorted()
	if more := len(es) - maxErrors; more > 0 {
		last := *es[maxErrors]
		last.Message = fmt.Sprintf("%d more mistakes from here on", more)
		if more == 1 {
			last.Message = "1 more mistake from here on"
		}
		es = append(es[:maxErrors:maxErrors], &last)
	}
	return es
}

// readable finds what makes a file no text at all: only the first such byte is reported.
func (s *source) readable(data []byte) bool {
	if len(data) > maxFile {
		s.errorf(place{1, 1}, "the file is longer than %d KiB; is it the right one?", maxFile>>10)
		return false
	}
	line, col := 1, 1
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			s.errorf(place{line, col}, "byte %#02x is not UTF-8; is this the right file?", rest[0])
			return false
		case r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f:
			s.errorf(place{line, col}, "control character %#02x; is this the right file?", r)
			return false
		case r == '\r' && !bytes.HasPrefix(rest, []byte("\r\n")):
			s.errorf(place{line, col}, "a carriage return without a line feed; convert the line ends")
			return false
		}
		rest = rest[size:]
		if col++; r == '\n' {
			line, col = line+1, 1
		}
	}
	return true
}
